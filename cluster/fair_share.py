"""Who may hold how many slots: a pure function of what the cluster has and what its tenants ask for."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    priority_from: str = ""
    """Who chose the priority, and may choose no higher one than their ceiling; empty for the owner."""
    num_slots: int
    """Slots that the tenant could use now."""
    cpus_per_slot: float
    gpus_per_slot: float
    """Whole GPUs, or a share of one GPU."""
    gpu_kind: str | None = None
    """The kind of GPU that every slot needs; None where any will do."""
    most_slots: int | None = None
    """Slots that the tenant could use if the cluster had more machines; as many as now, where None."""


Rank = tuple[bool, int]
"""Of a slot in the order of service, the first first: whether it comes behind all others, minus the
priority."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A tenant's demand, as the queue weighs it."""

    demand: Demand
    """Its priority is at most what the policy allows."""
    first_priority: int
    """The priority of its first slot: that of the demand, or a higher one to which it rose as it waited."""
    cap: float | None = None
    """The largest share of the cluster that its user holds while others want slots; None is no cap."""
    is_last: bool = False
    """Whether it comes behind all others."""
    num_running: int = 0
    """Slots that it holds."""

    def rank(self, num_held: int) -> Rank:
        """The rank of its next slot after `num_held`."""
        return self.is_last, -(self.demand.priority if num_held else self.first_priority)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used lately, in shares of the cluster times seconds.

    Of two equals, the one that used less gets the next slot.
    """

    by_user: Mapping[str, float] = field(default_factory=dict)
    by_tenant: Mapping[str, float] = field(default_factory=dict)


def allocate(
    capacity: Capacity, claims: Iterable[Claim], *, usage: Usage | None = None, lends: bool = True
) -> dict[str, int]:
    """Slots by tenant, together never more than `capacity` holds, and none left that somebody could use.

    Tenants of higher priority come first. Among equals, slots go one by one to the user with the smallest
    share, and there to the tenant with the smallest share, until nobody can use another slot. This is max-min
    fairness by dominant shares (dominant resource fairness, Ghodsi et al. 2011). What nobody wants within the
    users' caps is lent in the same order, beyond them, unless `lends` is False. Claims that are last come
    after all that.
    """
    allocation = _Allocation(capacity, usage or Usage())
    claims = list(claims)
    for is_last in (False, True):
        among = [claim for claim in claims if claim.is_last == is_last]
        allocation.fill(among)
        if lends:
            allocation.lend([claim for claim in among if claim.cap is not None])
    return allocation.slots


def dominant_share(capacity: Capacity, demand: Demand) -> float:
    """The share of the cluster that one slot takes, in [0, 1]: of CPUs or of GPUs, whichever is larger."""
    of_cpus = demand.cpus_per_slot / capacity.num_cpus if capacity.num_cpus else 0.0
    of_gpus = demand.gpus_per_slot / capacity.num_gpus if capacity.num_gpus else 0.0
    return max(of_cpus, of_gpus)


class Room:
    """What is free of the cluster."""

    def __init__(self, capacity: Capacity) -> None:
        self.num_cpus = capacity.num_cpus
        self.num_gpus = capacity.num_gpus
        self.gpus_by_kind = dict(capacity.gpus_by_kind)
        """Without those that are taken by who did not ask for their kind, which nobody knows."""

    def has(self, demand: Demand) -> bool:
        """Whether a slot fits."""
        return (
            demand.cpus_per_slot <= self.num_cpus + TOLERANCE
            and demand.gpus_per_slot <= self.num_gpus + TOLERANCE
            and not self.lacks_kind(demand)
        )

    def lacks_kind(self, demand: Demand) -> bool:
        """Whether too few GPUs of the kind that it asks for are free."""
        return demand.gpu_kind is not None and demand.gpus_per_slot > self._of_kind(demand) + TOLERANCE

    def take(self, demand: Demand, num_slots: int = 1) -> None:
        """Takes slots; a negative number gives them back."""
        self.num_cpus -= demand.cpus_per_slot * num_slots
        self.num_gpus -= demand.gpus_per_slot * num_slots
        if demand.gpu_kind is not None:
            self.gpus_by_kind[demand.gpu_kind] = self._of_kind(demand) - demand.gpus_per_slot * num_slots

    def _of_kind(self, demand: Demand) -> float:
        return self.gpus_by_kind.get(demand.gpu_kind or "", 0.0)


_Ranked = tuple[float, float, str, Claim, int]
"""A tenant in the order of service: the share that it got so far, its recent usage, its name, its claim, the
slots that it may have in the end."""


class _Allocation:
    """An allocation while it is made."""

    def __init__(self, capacity: Capacity, usage: Usage) -> None:
        self.slots: dict[str, int] = {}
        """By tenant."""
        self._capacity = capacity
        self._room = Room(capacity)
        self._usage = usage
        self._held: dict[str, float] = defaultdict(float)
        """Shares of the cluster by user, of all priorities."""

    def fill(self, claims: list[Claim], *, keeps_caps: bool = True) -> None:
        """Gives what is left, those of the highest priority first."""
        for claim in claims:
            self.slots.setdefault(claim.demand.tenant, 0)
        at: dict[int, list[tuple[Claim, int]]] = defaultdict(list)
        for claim in claims:
            demand = claim.demand
            at[demand.priority].append((claim, demand.num_slots))
            if claim.first_priority > demand.priority:
                at[claim.first_priority].append((claim, min(demand.num_slots, 1)))
        for priority in sorted(at, reverse=True):
            self._fill_equals(at[priority], keeps_caps=keeps_caps)

    def lend(self, claims: list[Claim]) -> None:
        """Gives what is left beyond the users' caps."""
        self.fill(claims, keeps_caps=False)

    def _fill_equals(self, claims: list[tuple[Claim, int]], *, keeps_caps: bool) -> None:
        tenants: dict[str, list[_Ranked]] = defaultdict(list)
        for claim, most in claims:
            name = claim.demand.tenant
            entry = (0.0, self._usage.by_tenant.get(name, 0.0), name, claim, most)
            heapq.heappush(tenants[claim.demand.user], entry)
        users = [(0.0, self._usage.by_user.get(user, 0.0), user) for user in tenants]
        heapq.heapify(users)
        while users:
            held, used, user = heapq.heappop(users)
            given = self._give(tenants[user], keeps_caps=keeps_caps)
            if given is not None:
                heapq.heappush(users, (held + given, used, user))

    def _give(self, tenants: list[_Ranked], *, keeps_caps: bool) -> float | None:
        """Gives one slot to the user's tenant that has least and can use it.

        Returns the slot's share of the cluster; None if no tenant can use a slot. A tenant that cannot use a
        slot now cannot use one later, and leaves the heap.
        """
        while tenants:
            held, used, name, claim, most = heapq.heappop(tenants)
            demand, share = claim.demand, dominant_share(self._capacity, claim.demand)
            if self.slots[name] >= most or not self._room.has(demand):
                continue
            if (
                keeps_caps
                and claim.cap is not None
                and self._held[demand.user] + share > claim.cap + TOLERANCE
            ):
                continue
            self.slots[name] += 1
            self._room.take(demand)
            self._held[demand.user] += share
            heapq.heappush(tenants, (held + share, used, name, claim, most))
            return share
        return None
