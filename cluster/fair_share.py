"""Who may hold how many slots: a pure function of what the cluster has and what its tenants ask for."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from cluster.nodes import Capacity

TOLERANCE = 1e-9
"""Thirds of a GPU add up to a little more than one."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one tenant asks for."""

    tenant: str
    """The tenant's name, unique on the cluster."""
    user: str
    """Who owns the tenant."""
    priority: int
    """Tenants of higher priority are served first."""
    num_slots: int
    """Slots that the tenant could use now."""
    cpus_per_slot: float
    gpus_per_slot: float
    """Whole GPUs, or a share of one GPU."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used lately, in shares of the cluster times seconds.

    Of two equals, the one that used less gets the next slot.
    """

    by_user: Mapping[str, float] = field(default_factory=dict)
    by_tenant: Mapping[str, float] = field(default_factory=dict)


def allocate(
    capacity: Capacity,
    demands: Iterable[Demand],
    *,
    user_cap: float | None = None,
    usage: Usage | None = None,
) -> dict[str, int]:
    """Slots by tenant, together never more than `capacity` holds.

    Tenants of higher priority come first. Among equals, slots go one by one to the user with the smallest
    share, and there to the tenant with the smallest share, until nobody can use another slot. This is max-min
    fairness by dominant shares (dominant resource fairness, Ghodsi et al. 2011). `user_cap` is the largest
    share of one user, in (0, 1].
    """
    allocation = _Allocation(capacity, user_cap, usage or Usage())
    ranked = sorted(demands, key=lambda demand: (-demand.priority, demand.user, demand.tenant))
    for _, equals in groupby(ranked, key=lambda demand: demand.priority):
        allocation.fill(list(equals))
    return allocation.slots


def dominant_share(capacity: Capacity, demand: Demand) -> float:
    """The share of the cluster that one slot takes, in [0, 1]: of CPUs or of GPUs, whichever is larger."""
    of_cpus = demand.cpus_per_slot / capacity.num_cpus if capacity.num_cpus else 0.0
    of_gpus = demand.gpus_per_slot / capacity.num_gpus if capacity.num_gpus else 0.0
    return max(of_cpus, of_gpus)


_Ranked = tuple[float, float, str, Demand]
"""A tenant in the order of service: the share that it got so far, its recent usage, its name, its demand."""


class _Allocation:
    """An allocation while it is made."""

    def __init__(self, capacity: Capacity, user_cap: float | None, usage: Usage) -> None:
        self.slots: dict[str, int] = {}
        """By tenant."""
        self._capacity = capacity
        self._free_cpus = capacity.num_cpus
        self._free_gpus = capacity.num_gpus
        self._user_cap = user_cap
        self._usage = usage
        self._held: dict[str, float] = {}
        """Shares of the cluster by user, of all priorities."""

    def fill(self, demands: list[Demand]) -> None:
        """Gives what is left to demands of one priority."""
        self.slots |= {demand.tenant: 0 for demand in demands}
        tenants: dict[str, list[_Ranked]] = {}
        for demand in demands:
            entry = (0.0, self._usage.by_tenant.get(demand.tenant, 0.0), demand.tenant, demand)
            heapq.heappush(tenants.setdefault(demand.user, []), entry)
        users = [(0.0, self._usage.by_user.get(user, 0.0), user) for user in tenants]
        heapq.heapify(users)
        while users:
            held, used, user = heapq.heappop(users)
            given = self._give(tenants[user])
            if given is not None:
                heapq.heappush(users, (held + given, used, user))

    def _give(self, tenants: list[_Ranked]) -> float | None:
        """Gives one slot to the user's tenant that has least and can use it.

        Returns the slot's share of the cluster; None if no tenant can use a slot. A tenant that cannot use a
        slot now cannot use one later, and leaves the heap.
        """
        while tenants:
            held, used, name, demand = heapq.heappop(tenants)
            if self._fits(demand):
                share = dominant_share(self._capacity, demand)
                self.slots[name] += 1
                self._free_cpus -= demand.cpus_per_slot
                self._free_gpus -= demand.gpus_per_slot
                self._held[demand.user] = self._held.get(demand.user, 0.0) + share
                heapq.heappush(tenants, (held + share, used, name, demand))
                return share
        return None

    def _fits(self, demand: Demand) -> bool:
        """Whether the tenant can use another slot, there is room for it, and its user may hold it."""
        if self.slots[demand.tenant] >= demand.num_slots:
            return False
        if demand.cpus_per_slot > self._free_cpus + TOLERANCE:
            return False
        if demand.gpus_per_slot > self._free_gpus + TOLERANCE:
            return False
        after = self._held.get(demand.user, 0.0) + dominant_share(self._capacity, demand)
        return self._user_cap is None or after <= self._user_cap + TOLERANCE
