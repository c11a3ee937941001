"""The queue's memory: leases that run out, a queue that begins anew, and tenants that wait.

Shares are fair over time, as a slot cannot be halved.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cluster.autoscaler import NodeRequests
from cluster.fair_share import Demand
from cluster.gpu_hours import SECONDS_BETWEEN_WRITES
from cluster.nodes import Node
from cluster.slot_queue import LEASE_SECONDS, RENEWAL_SECONDS, Grant, SlotQueue


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
    """A program whose tasks sleep: it starts as many as it may, and pauses where it is asked to."""

    name: str
    user: str
    task_seconds: float
    priority: int = 0
    wants: int = 100
    gpus: float = 0.0
    ends: list[float] = field(default_factory=list)
    granted: int = 0
    kept: int | None = None
    paused_for: set[str] = field(default_factory=set)
    used: float = 0.0

    def renew(self, queue: SlotQueue, cpus: int) -> float:
        """Tells the queue what it holds, and keeps what it grants; returns the seconds to the next time."""
        demand = Demand(
            tenant=self.name,
            user=self.user,
            priority=self.priority,
            num_slots=self.wants,
            cpus_per_slot=1.0,
            gpus_per_slot=self.gpus,
        )
        grant = Grant(**queue.renew(float(cpus), 8.0, asdict(demand), len(self.ends)))
        self.granted, self.kept = grant.num_slots, grant.num_kept
        self.paused_for |= set(grant.in_favour_of)
        return grant.seconds


def pass_time(
    queue: SlotQueue,
    clock: Clock,
    tenants: list[Tenant],
    cpus: int,
    seconds: float,
    every: float = RENEWAL_SECONDS,
) -> None:
    """Tasks end, free slots are taken, in turns of a renewal each; more than `cpus` never run."""
    until = clock.now + seconds
    while clock.now < until:
        for tenant in tenants:
            tenant.renew(queue, cpus)
        for tenant in tenants:
            tenant.ends = [end for end in tenant.ends if end > clock.now][: tenant.kept]
        for tenant in tenants:
            free = cpus - sum(len(one.ends) for one in tenants)
            num_new = max(min(free, tenant.granted - len(tenant.ends)), 0)
            tenant.ends += [clock.now + tenant.task_seconds] * num_new
            tenant.used += len(tenant.ends) * every
        clock.now += every


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


def test_a_higher_priority_has_slots_while_the_tasks_of_a_lower_one_would_last_for_hours() -> None:
    clock = Clock()
    queue, low = SlotQueue(clock=clock), Tenant("low", "ben", 36_000)
    pass_time(queue, clock, [low], cpus=4, seconds=60)
    high = Tenant("high", "ada", 60, priority=1, wants=3)
    pass_time(queue, clock, [low, high], cpus=4, seconds=5)
    assert (len(high.ends), len(low.ends), low.paused_for) == (3, 1, {"high (ada, priority 1)"})
    queue.leave("high")
    pass_time(queue, clock, [low], cpus=4, seconds=5)
    assert (len(low.ends), low.kept) == (4, None)


def test_a_user_s_cap_lends_what_is_idle_and_takes_it_back() -> None:
    clock = Clock()
    queue, rich = SlotQueue(user_cap=0.5, clock=clock), Tenant("a", "ada", 3600)
    pass_time(queue, clock, [rich], cpus=8, seconds=60)
    assert len(rich.ends) == 8
    other = Tenant("b", "ben", 60)
    pass_time(queue, clock, [rich, other], cpus=8, seconds=5)
    assert (len(rich.ends), len(other.ends), rich.paused_for) == (4, 4, {"b (ben, priority 0)"})


def test_who_waits_rises_to_a_slot_of_its_own_for_as_long_as_it_waited() -> None:
    clock = Clock()
    queue = SlotQueue(clock=clock)
    high, low = Tenant("high", "ada", 600, priority=2), Tenant("low", "ben", 600)
    pass_time(queue, clock, [high, low], cpus=4, seconds=2 * 3600 - 10, every=10)
    assert (low.used, standing(queue, "low")["first_priority"]) == (0.0, 1)
    pass_time(queue, clock, [high, low], cpus=4, seconds=3600, every=10)
    assert (len(high.ends), len(low.ends), standing(queue, "low")["first_priority"]) == (3, 1, 2)
    pass_time(queue, clock, [high, low], cpus=4, seconds=2 * 3600, every=10)
    assert (len(high.ends), len(low.ends), low.paused_for) == (4, 0, {"high (ada, priority 2)"})


def test_nobody_starves_however_many_come_with_higher_priorities() -> None:
    """Three tenants on one slot for two days, of priorities 0, 5 and 10."""
    clock = Clock()
    tenants = [Tenant(f"p{priority}", f"user-{priority}", 600, priority=priority) for priority in (0, 5, 10)]
    pass_time(SlotQueue(clock=clock), clock, tenants, cpus=1, seconds=2 * 24 * 3600, every=LEASE_SECONDS)
    found = shares(tenants)
    assert min(found.values()) > 0.1
    assert found["p10"] > 0.3


def standing(queue: SlotQueue, tenant: str) -> dict[str, Any]:
    return next(one for one in queue.standings() if one["tenant"] == tenant)


def write_policy(folder: Path, **policy: Any) -> Path:
    file = folder / "queue.yaml"
    file.write_text(json.dumps(policy))
    return file


def test_a_ceiling_holds_for_whoever_chose_the_priority(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, everybody={"max_priority": 3}, people={"op": {"max_priority": None}})
    queue = SlotQueue(policy_file=policy, clock=Clock())
    demand = {"user": "ada", "priority": 50, "num_slots": 1, "cpus_per_slot": 1.0, "gpus_per_slot": 0.0}
    queue.renew(8.0, 0.0, {**demand, "tenant": "own"}, 0)
    queue.renew(8.0, 0.0, {**demand, "tenant": "raised", "priority_from": "op"}, 0)
    assert {one["tenant"]: one["priority"] for one in queue.standings()} == {"own": 3, "raised": 50}


def test_a_policy_is_read_again_and_the_last_good_one_holds_while_it_is_wrong(tmp_path: Path) -> None:
    clock, one = Clock(), Tenant("a", "ada", 60, priority=9)
    policy = write_policy(tmp_path, everybody={"max_priority": 3})
    queue = SlotQueue(policy_file=policy, clock=clock)
    for text, expected in (("{}", 9), ("everybody: {max_priority: 4}", 4), ("everybody: {max: 1}", 4)):
        policy.write_text(text)
        pass_time(queue, clock, [one], cpus=4, seconds=2)
        assert standing(queue, "a")["priority"] == expected
    (problem,) = queue.policy_problems()
    assert problem.startswith(
        f"the policy of the cluster's queue, STUDY_QUEUE_POLICY={policy}, everybody.max:"
    )


def test_who_used_up_the_month_s_gpu_hours_comes_behind_all_others(tmp_path: Path) -> None:
    clock, calendar = Clock(), Clock(now=1_790_000_000.0)  # in September 2026
    file = tmp_path / "hours.json"
    policy = write_policy(tmp_path, everybody={"gpu_hours_per_month": 10}, gpu_hours_file=str(file))
    queue = SlotQueue(policy_file=policy, clock=clock, calendar=calendar)
    ada, ben = Tenant("a", "ada", 3600, priority=5, gpus=1.0), Tenant("b", "ben", 3600, gpus=1.0, wants=6)
    pass_time(queue, clock, [ada], cpus=8, seconds=4000, every=10)
    found = standing(queue, "a")
    assert (found["gpu_hours"], found["gpu_hours_allowed"]) == (pytest.approx(8.9, abs=0.1), 10)
    pass_time(queue, clock, [ada], cpus=8, seconds=1000, every=10)
    assert len(ada.ends) == 8, "who is over the budget has what is idle"
    pass_time(queue, clock, [ada, ben], cpus=8, seconds=5)
    assert (len(ada.ends), len(ben.ends), ada.paused_for) == (2, 6, {"b (ben, priority 0)"})

    calendar.now += SECONDS_BETWEEN_WRITES
    pass_time(queue, clock, [ada, ben], cpus=8, seconds=2)
    again = SlotQueue(policy_file=policy, clock=clock, calendar=calendar)
    pass_time(again, clock, [ada, ben], cpus=8, seconds=2)
    assert standing(again, "a")["gpu_hours"] == pytest.approx(standing(queue, "a")["gpu_hours"], abs=0.01)
    assert len(ada.ends) == 2, "the hours outlive the queue"
    calendar.now += 31 * 24 * 3600
    pass_time(again, clock, [ada, ben], cpus=8, seconds=5)
    assert len(ada.ends) == 8, "each month begins anew"


def test_a_tenant_that_fell_silent_uses_nothing_while_nobody_asks(tmp_path: Path) -> None:
    clock = Clock()
    queue, dead, late = SlotQueue(clock=clock), Tenant("a", "ada", 60, gpus=1.0), Tenant("b", "ada", 60)
    pass_time(queue, clock, [dead], cpus=8, seconds=60)
    clock.now += 12 * 3600
    pass_time(queue, clock, [late], cpus=8, seconds=2)
    assert standing(queue, "b")["gpu_hours"] < 0.25


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
    assert {one["tenant"] for one in again.standings()} == {"a", "b"}


def test_the_queue_tells_who_holds_what_and_who_comes_next() -> None:
    clock = Clock()
    queue = SlotQueue(clock=clock)
    tenants = [Tenant("long", "ada", 3600, wants=8), Tenant("late", "ben", 60), Tenant("low", "cyd", 60, -1)]
    pass_time(queue, clock, tenants[:1], cpus=4, seconds=60)
    pass_time(queue, clock, tenants, cpus=4, seconds=3)
    told = {one["tenant"]: one for one in queue.standings()}
    assert [(name, one["num_running"], one["place"]) for name, one in told.items()] == [
        ("late", 0, 1),
        ("long", 4, None),
        ("low", 0, 2),
    ]
    assert (told["long"]["user"], told["long"]["num_wanted"], told["late"]["num_granted"]) == ("ada", 8, 2)


def test_nodes_are_asked_for_while_somebody_wants_them() -> None:
    """A cluster of a head without cores, and an autoscaler that may start two machines of two GPUs each."""
    told: list[int] = []
    clock = Clock()
    queue = SlotQueue(clock=clock)
    queue._node_requests = NodeRequests(lambda bundles: told.append(len(bundles)))
    head, gpus = Node(num_cpus=0, num_gpus=0, gpu_kind=None), Node(num_cpus=8, num_gpus=2, gpu_kind="L4")
    wants = Demand(
        tenant="first",
        user="ada",
        priority=0,
        num_slots=0,
        most_slots=3,
        cpus_per_slot=1.0,
        gpus_per_slot=1.0,
    )
    for demand in (wants, replace(wants, tenant="second"), replace(wants, tenant="third")):
        assert queue.renew(0.0, 0.0, asdict(demand), 0)["num_slots"] == 0
        queue.ask_for_nodes((head,), (gpus, gpus))
        clock.now += 2.0
        queue._node_requests._next_look = 0.0
    assert told == [3, 4]
    assert {(one["awaits_node"], one["num_wanted"]) for one in queue.standings()} == {(True, 3)}
    for tenant in ("first", "second"):
        queue.leave(tenant)
    queue.ask_for_nodes((head, gpus, gpus), (gpus, gpus))
    clock.now += LEASE_SECONDS + 1.0
    queue._node_requests._next_look = 0.0
    queue.ask_for_nodes((head, gpus, gpus), (gpus, gpus))
    assert told == [3, 4, 3, 0], "the last one died"


def test_studies_that_need_the_same_kind_take_turns() -> None:
    """One H100 and seven other GPUs: who cannot use those does not hold a slot that Ray cannot give it."""
    clock = Clock()
    queue, granted = SlotQueue(clock=clock), {}
    for name in ("first", "second", "any"):
        demand = Demand(
            tenant=name,
            user=name,
            priority=0,
            num_slots=1 if name != "any" else 8,
            cpus_per_slot=1.0,
            gpus_per_slot=1.0,
            gpu_kind=None if name == "any" else "H100",
        )
        queue.renew(64.0, 8.0, asdict(demand), 0, {"H100": 1.0, "T4": 7.0})
        granted[name] = demand
    clock.now += 2.0
    slots = {
        name: queue.renew(64.0, 8.0, asdict(demand), 0, {"H100": 1.0, "T4": 7.0})["num_slots"]
        for name, demand in granted.items()
    }
    assert slots == {"first": 1, "second": 0, "any": 7}


@pytest.mark.parametrize(("num_tenants", "most"), [(200, 0.05), (1000, 0.2)])
@pytest.mark.parametrize("num_held", [0, 4096])
def test_many_tenants_cost_little_of_a_core(num_tenants: int, most: float, num_held: int) -> None:
    """Of 4,096 slots. A renewal that divides them anew for each tenant takes twenty cores.

    Of the tenants, every second one has a lower priority and gives back what is held.
    """
    clock = Clock()
    queue, seconds = SlotQueue(clock=clock), 20.0
    tenants = [
        Tenant(f"t{number}", f"user-{number % 50}", 60, wants=4096, priority=number % 2)
        for number in range(num_tenants)
    ]
    for low in tenants[::2]:
        low.ends = [1e9] * (2 * num_held // num_tenants)
    next_renewal = {number: clock.now + tenant.renew(queue, 4096) for number, tenant in enumerate(tenants)}
    began = time.process_time()
    while clock.now < seconds:
        for number, tenant in enumerate(tenants):
            if next_renewal[number] <= clock.now:
                next_renewal[number] = clock.now + tenant.renew(queue, 4096)
        clock.now += RENEWAL_SECONDS / 4
    if sys.gettrace() is None:  # measuring coverage takes ten times as long
        assert (time.process_time() - began) / seconds < most
    assert sum(tenant.granted for tenant in tenants) == 4096
    assert all(low.kept == 0 for low in tenants[::2]) or not num_held
