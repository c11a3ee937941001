"""The queue's memory: leases that run out, a queue that begins anew, and shares that are fair over time.

Over time, as a slot cannot be halved.
"""

from dataclasses import asdict, dataclass, field

import pytest

from cluster.fair_share import Demand
from cluster.slot_queue import LEASE_SECONDS, RENEWAL_SECONDS, SlotQueue


@dataclass
class Clock:
    """Tells the fake time."""

    now: float = 0.0
    """Seconds."""

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


@dataclass
class Tenant:
    """A program whose tasks sleep: it starts as many as it may, and never ends one early."""

    name: str
    user: str
    task_seconds: float
    priority: int = 0
    wants: int = 100
    ends: list[float] = field(default_factory=list)
    granted: int = 0
    used: float = 0.0

    def renew(self, queue: SlotQueue, cpus: int) -> None:
        """Tells the queue what it holds, and keeps what the queue grants."""
        demand = Demand(
            tenant=self.name,
            user=self.user,
            priority=self.priority,
            num_slots=self.wants,
            cpus_per_slot=1.0,
            gpus_per_slot=0.0,
        )
        self.granted = queue.renew(float(cpus), 0.0, asdict(demand), len(self.ends))


def pass_time(queue: SlotQueue, clock: Clock, tenants: list[Tenant], cpus: int, seconds: float) -> None:
    """Tasks end, free slots are taken, in turns of a renewal each; more than `cpus` never run."""
    until = clock.now + seconds
    while clock.now < until:
        for tenant in tenants:
            tenant.renew(queue, cpus)
        for tenant in tenants:
            tenant.ends = [end for end in tenant.ends if end > clock.now]
        for tenant in tenants:
            free = cpus - sum(len(one.ends) for one in tenants)
            num_new = max(min(free, tenant.granted - len(tenant.ends)), 0)
            tenant.ends += [clock.now + tenant.task_seconds] * num_new
            tenant.used += len(tenant.ends) * RENEWAL_SECONDS
        clock.now += RENEWAL_SECONDS


def shares(tenants: list[Tenant]) -> dict[str, float]:
    total = sum(tenant.used for tenant in tenants)
    return {tenant.name: tenant.used / total for tenant in tenants}


def test_shares_are_fair_over_time_whatever_the_length_of_tasks() -> None:
    """Seven slots: three and a half for each user. Long tasks make nobody richer."""
    clock = Clock()
    tenants = [
        Tenant("a1", "ada", 60),
        Tenant("a2", "ada", 60),
        Tenant("b1", "ben", 300),
        Tenant("b2", "ben", 20),
    ]
    pass_time(SlotQueue(clock=clock), clock, tenants, cpus=7, seconds=4 * 3600)
    found = shares(tenants)
    assert found["a1"] + found["a2"] == pytest.approx(0.5, rel=0.1)
    for tenant, share in found.items():
        assert share == pytest.approx(0.25, rel=0.1), tenant


def test_fewer_slots_than_tenants_go_round() -> None:
    clock = Clock()
    tenants = [Tenant(f"s{number}", f"user-{number}", 60) for number in range(4)]
    pass_time(SlotQueue(clock=clock), clock, tenants, cpus=1, seconds=4 * 3600)
    assert all(share == pytest.approx(0.25, rel=0.1) for share in shares(tenants).values())


def test_higher_priorities_first_and_what_they_leave_to_the_others() -> None:
    clock = Clock()
    high, low = Tenant("high", "ada", 60, priority=1, wants=3), Tenant("low", "ben", 60)
    pass_time(SlotQueue(clock=clock), clock, [low, high], cpus=4, seconds=3600)
    assert (high.granted, low.granted) == (3, 1)


def test_a_user_s_cap_leaves_slots_empty() -> None:
    clock = Clock()
    tenants = [Tenant("a1", "ada", 60), Tenant("a2", "ada", 60)]
    pass_time(SlotQueue(user_cap=0.5, clock=clock), clock, tenants, cpus=8, seconds=600)
    assert [tenant.granted for tenant in tenants] == [2, 2]


def test_a_tenant_that_dies_loses_its_lease_and_one_that_ends_gives_it_away_at_once() -> None:
    clock, alive, dead = Clock(), Tenant("alive", "ada", 60), Tenant("dead", "ben", 60)
    queue = SlotQueue(clock=clock)
    pass_time(queue, clock, [alive, dead], cpus=8, seconds=60)
    assert alive.granted == 4
    pass_time(queue, clock, [alive], cpus=8, seconds=LEASE_SECONDS + 3 * RENEWAL_SECONDS)
    assert alive.granted == 8
    pass_time(queue, clock, [alive, dead], cpus=8, seconds=4)
    queue.leave("dead")
    alive.renew(queue, 8)
    assert alive.granted == 8


def test_a_queue_that_begins_anew_knows_all_after_their_next_renewal() -> None:
    clock = Clock()
    tenants = [Tenant("a", "ada", 60), Tenant("b", "ben", 60)]
    pass_time(SlotQueue(clock=clock), clock, tenants, cpus=8, seconds=600)
    again = SlotQueue(clock=clock)
    pass_time(again, clock, tenants, cpus=8, seconds=2 * RENEWAL_SECONDS)
    assert [tenant.granted for tenant in tenants] == [4, 4]
    assert again.running().keys() == {"a", "b"}
