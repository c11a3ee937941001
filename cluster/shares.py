"""Who may run how many trials at once: a pure function of what the cluster has and what is asked of it."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from cluster.connection import Capacity

TOLERANCE = 1e-9
"""Thirds of a GPU add up to a little more than one."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one study asks for."""

    study: str
    user: str
    priority: int
    """Higher ones are served first."""
    wants: int
    """Trials that it could have running now, its own cap observed."""
    cpus: float
    """Of one trial."""
    gpus: float
    """Of one trial."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used lately, in shares of the cluster times seconds: where one is left to give, who had less gets it."""

    by_user: Mapping[str, float] = field(default_factory=dict)
    by_study: Mapping[str, float] = field(default_factory=dict)


def allocate(capacity: Capacity, demands: Iterable[Demand], *, user_cap: float | None = None, usage: Usage | None = None) -> dict[str, int]:
    """Trials by study, together never more than `capacity` holds.

    Those of higher priority come first. Among equals, trials go one by one to the user who has the smallest share, and there to the study
    that has the smallest, until nobody can use another (max-min fairness; a share is that of the resource of which it takes most, as in
    dominant resource fairness, Ghodsi et al. 2011: of the GPUs for trials on GPUs). `user_cap` is the largest share of a user, in (0, 1].
    """
    given = _Given(capacity, user_cap, usage or Usage())
    ranked = sorted(demands, key=lambda demand: (-demand.priority, demand.user, demand.study))
    for _, equals in groupby(ranked, key=lambda demand: demand.priority):
        given.fill(list(equals))
    return given.trials


def share_of(capacity: Capacity, demand: Demand) -> float:
    """The part of the cluster that one trial takes: of the resource of which it takes most."""
    of_cpus = demand.cpus / capacity.num_cpus if capacity.num_cpus else 0.0
    of_gpus = demand.gpus / capacity.num_gpus if capacity.num_gpus else 0.0
    return max(of_cpus, of_gpus)


class _Given:
    """An allocation as it is made."""

    def __init__(self, capacity: Capacity, user_cap: float | None, usage: Usage) -> None:
        self.trials: dict[str, int] = {}
        self._capacity = capacity
        self._cpus = capacity.num_cpus
        self._gpus = capacity.num_gpus
        self._user_cap = user_cap
        self._usage = usage
        self._held: dict[str, float] = {}
        """By user, of all priorities."""

    def fill(self, demands: list[Demand]) -> None:
        """Gives what is left to demands of one priority."""
        self.trials |= {demand.study: 0 for demand in demands}
        studies: dict[str, list[tuple[float, float, str, Demand]]] = {}
        for demand in demands:
            heapq.heappush(studies.setdefault(demand.user, []), (0.0, self._usage.by_study.get(demand.study, 0.0), demand.study, demand))
        users = [(0.0, self._usage.by_user.get(user, 0.0), user) for user in studies]
        heapq.heapify(users)
        while users:
            held, used, user = heapq.heappop(users)
            got = self._give(studies[user])
            if got is not None:
                heapq.heappush(users, (held + got, used, user))

    def _give(self, studies: list[tuple[float, float, str, Demand]]) -> float | None:
        """One trial to a user's study that has least and can use it: its share of the cluster. None where none can, nor ever will."""
        while studies:
            held, used, name, demand = heapq.heappop(studies)
            if self._fits(demand):
                share = share_of(self._capacity, demand)
                self.trials[name] += 1
                self._cpus -= demand.cpus
                self._gpus -= demand.gpus
                self._held[demand.user] = self._held.get(demand.user, 0.0) + share
                heapq.heappush(studies, (held + share, used, name, demand))
                return share
        return None

    def _fits(self, demand: Demand) -> bool:
        if self.trials[demand.study] >= demand.wants or demand.cpus > self._cpus + TOLERANCE or demand.gpus > self._gpus + TOLERANCE:
            return False
        after = self._held.get(demand.user, 0.0) + share_of(self._capacity, demand)
        return self._user_cap is None or after <= self._user_cap + TOLERANCE
