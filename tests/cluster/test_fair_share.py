"""Who may hold how many slots.

Never more than there is, nothing left that somebody could use, caps kept while others want slots, and fair
among equals.
"""

from collections import defaultdict
from dataclasses import replace
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.fair_share import TOLERANCE, Claim, Demand, Usage, allocate, dominant_share
from cluster.nodes import Capacity

USERS = ("ada", "ben", "cyd")


def claim(tenant: str, user: str, **options: Any) -> Claim:
    """A claim on slots of one CPU, of priority 0, or as the options say."""
    own = {name: options.pop(name) for name in ("cap", "is_last", "num_running") if name in options}
    rises = options.pop("rises", 0)
    settings = {"priority": 0, "num_slots": 100, "cpus_per_slot": 1.0, "gpus_per_slot": 0.0, **options}
    demand = Demand(tenant=tenant, user=user, **settings)
    return Claim(demand=demand, first_priority=demand.priority + rises, **own)


CAPACITIES = st.builds(
    Capacity, num_cpus=st.integers(0, 40).map(float), num_gpus=st.sampled_from([0.0, 1.0, 2.0, 8.0])
)
SHAPES = st.sampled_from(
    [(1.0, 0.0), (2.0, 0.0), (1.0, 1.0), (1.0, 0.25), (1.0, 1 / 3), (4.0, 2.0), (7.0, 0.0)]
)
CAPS = st.sampled_from([None, 0.25, 0.5, 1.0])


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    """Of three people, each of whom may have a cap, or come behind all others."""
    caps = {user: draw(CAPS) for user in USERS}
    last = {user: draw(st.sampled_from([False, False, True])) for user in USERS}
    made = []
    for number in range(draw(st.integers(0, 7))):
        cpus, gpus = draw(SHAPES)
        user = draw(st.sampled_from(USERS))
        made.append(
            claim(
                f"tenant-{number}",
                user,
                priority=draw(st.integers(0, 2)),
                rises=draw(st.sampled_from([0, 0, 1, 2])),
                num_slots=draw(st.integers(0, 30)),
                num_running=draw(st.integers(0, 6)),
                cpus_per_slot=cpus,
                gpus_per_slot=gpus,
                cap=caps[user],
                is_last=last[user],
            )
        )
    return made


def left(capacity: Capacity, asked: list[Claim], slots: dict[str, int]) -> tuple[float, float]:
    demands = [one.demand for one in asked]
    cpus = capacity.num_cpus - sum(slots[one.tenant] * one.cpus_per_slot for one in demands)
    return cpus, capacity.num_gpus - sum(slots[one.tenant] * one.gpus_per_slot for one in demands)


def shares_of(capacity: Capacity, asked: list[Claim], slots: dict[str, int]) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for one in asked:
        shares[one.demand.user] += slots[one.demand.tenant] * dominant_share(capacity, one.demand)
    return shares


def fits(demand: Demand, room: tuple[float, float]) -> bool:
    return demand.cpus_per_slot <= room[0] + TOLERANCE and demand.gpus_per_slot <= room[1] + TOLERANCE


def without_caps(asked: list[Claim]) -> list[Claim]:
    return [replace(one, cap=None) for one in asked]


@given(CAPACITIES, claims())
def test_never_more_than_there_is_or_is_wanted(capacity: Capacity, asked: list[Claim]) -> None:
    slots = allocate(capacity, asked)
    assert slots.keys() == {one.demand.tenant for one in asked}
    assert min(left(capacity, asked, slots)) >= -1e-6
    assert all(0 <= slots[one.demand.tenant] <= one.demand.num_slots for one in asked)


@given(CAPACITIES, claims())
def test_nothing_is_left_that_somebody_could_use(capacity: Capacity, asked: list[Claim]) -> None:
    """Whatever the caps: what is idle is lent."""
    slots = allocate(capacity, asked)
    room = left(capacity, asked, slots)
    wanting = [one.demand for one in asked if slots[one.demand.tenant] < one.demand.num_slots]
    assert not any(fits(demand, room) for demand in wanting)


@given(st.integers(1, 40), claims())
def test_who_is_above_the_cap_has_nothing_that_another_may_have(num_cpus: int, asked: list[Claim]) -> None:
    """Of slots of one CPU: then somebody below the cap has all that they want."""
    capacity = Capacity(num_cpus=float(num_cpus), num_gpus=0.0)
    asked = [
        replace(one, is_last=False, demand=replace(one.demand, cpus_per_slot=1.0, gpus_per_slot=0.0))
        for one in asked
    ]
    slots = allocate(capacity, asked)
    shares = shares_of(capacity, asked, slots)
    caps = {one.demand.user: 1.0 if one.cap is None else one.cap for one in asked}
    if any(shares[user] > cap + 1e-6 for user, cap in caps.items()):
        for one in asked:
            is_below = shares[one.demand.user] + 1 / num_cpus <= caps[one.demand.user] + TOLERANCE
            assert not is_below or slots[one.demand.tenant] == one.demand.num_slots


@given(st.integers(1, 40), claims())
def test_equals_differ_by_a_slot_at_most_unless_they_want_no_more(num_cpus: int, asked: list[Claim]) -> None:
    """Max-min fairness: who has less than another by more than a slot has all that it wants."""
    capacity = Capacity(num_cpus=float(num_cpus), num_gpus=0.0)
    asked = [claim(one.demand.tenant, one.demand.user, num_slots=one.demand.num_slots) for one in asked]
    slots = allocate(capacity, asked)
    shares = shares_of(capacity, asked, slots)
    one_slot = 1 / num_cpus
    demands = [one.demand for one in asked]
    for poor, rich in permutations(shares, 2):
        if shares[poor] + one_slot < shares[rich] - 1e-9:
            assert all(slots[one.tenant] == one.num_slots for one in demands if one.user == poor)
    for first, second in permutations(demands, 2):
        if first.user == second.user and slots[first.tenant] + 1 < slots[second.tenant]:
            assert slots[first.tenant] == first.num_slots


@given(CAPACITIES, claims())
def test_lower_priorities_take_nothing_from_higher_ones(capacity: Capacity, asked: list[Claim]) -> None:
    """Caps aside, which are there to leave something to the lower ones."""
    asked = [replace(one, first_priority=one.demand.priority) for one in without_caps(asked)]
    slots = allocate(capacity, asked)
    for rank in {one.rank(1) for one in asked}:
        above = [one for one in asked if one.rank(1) <= rank]
        alone = allocate(capacity, above)
        assert all(slots[one.demand.tenant] == alone[one.demand.tenant] for one in above)


@given(CAPACITIES, claims())
def test_who_comes_last_changes_nothing_for_the_others(capacity: Capacity, asked: list[Claim]) -> None:
    others = [one for one in asked if not one.is_last]
    slots = allocate(capacity, asked)
    assert allocate(capacity, others) == {one.demand.tenant: slots[one.demand.tenant] for one in others}


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_waiting_raises_one_slot_and_no_more(num_cpus: int, num_wanted: int, rises: int) -> None:
    """Beside one of priority 2 that wants all there is."""
    asked = [claim("high", "ada", priority=2), claim("risen", "ben", num_slots=num_wanted, rises=rises)]
    slots = allocate(Capacity(num_cpus=float(num_cpus), num_gpus=0.0), asked)
    assert slots["risen"] == (0 if rises < 2 or (num_cpus == 1 and rises == 2) else 1)


@given(CAPACITIES, claims())
def test_the_order_of_asking_does_not_matter(capacity: Capacity, asked: list[Claim]) -> None:
    assert allocate(capacity, asked) == allocate(capacity, list(reversed(asked)))


def test_users_come_before_their_tenants() -> None:
    asked = [claim("a1", "ada"), claim("a2", "ada"), claim("a3", "ada"), claim("b1", "ben")]
    assert allocate(Capacity(num_cpus=12, num_gpus=0), asked) == {"a1": 2, "a2": 2, "a3": 2, "b1": 6}


def test_gpus_are_shared_where_slots_take_them() -> None:
    asked = [
        claim("a", "ada", gpus_per_slot=1.0),
        claim("b", "ben", gpus_per_slot=0.5),
        claim("c", "cyd", cpus_per_slot=8.0),
    ]
    assert allocate(Capacity(num_cpus=64, num_gpus=4), asked) == {"a": 2, "b": 4, "c": 7}


def test_the_last_slot_goes_to_who_used_less() -> None:
    asked = [claim("a", "ada"), claim("b", "ben")]
    for rich, poor in (("a", "b"), ("b", "a")):
        usage = Usage(by_user={{"a": "ada", "b": "ben"}[rich]: 100.0})
        assert allocate(Capacity(num_cpus=3, num_gpus=0), asked, usage=usage) == {rich: 1, poor: 2}


def test_a_cap_lends_what_is_idle_and_keeps_to_itself_what_others_want() -> None:
    capacity, alone = Capacity(num_cpus=8, num_gpus=0), claim("a", "ada", cap=0.5)
    assert allocate(capacity, [alone]) == {"a": 8}
    assert allocate(capacity, [alone, claim("b", "ben", num_slots=3)]) == {"a": 5, "b": 3}
    assert allocate(capacity, [alone, claim("b", "ben", priority=-1)]) == {"a": 4, "b": 4}
