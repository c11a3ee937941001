"""Who may hold how many slots.

Never more than there is, caps kept, nothing left that somebody could use, and fair among equals.
"""

from collections import defaultdict
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from cluster.fair_share import TOLERANCE, Demand, Usage, allocate, dominant_share
from cluster.nodes import Capacity

USERS = ("ada", "ben", "cyd")


def demand(tenant: str, user: str, **options: float) -> Demand:
    settings = {"priority": 0, "num_slots": 100, "cpus_per_slot": 1.0, "gpus_per_slot": 0.0, **options}
    return Demand(tenant=tenant, user=user, **settings)  # type: ignore[arg-type]


CAPACITIES = st.builds(
    Capacity, num_cpus=st.integers(0, 40).map(float), num_gpus=st.sampled_from([0.0, 1.0, 2.0, 8.0])
)
SHAPES = st.sampled_from(
    [(1.0, 0.0), (2.0, 0.0), (1.0, 1.0), (1.0, 0.25), (1.0, 1 / 3), (4.0, 2.0), (7.0, 0.0)]
)


@st.composite
def demands(draw: st.DrawFn) -> list[Demand]:
    made = []
    for number in range(draw(st.integers(0, 7))):
        cpus, gpus = draw(SHAPES)
        made.append(
            demand(
                f"tenant-{number}",
                draw(st.sampled_from(USERS)),
                priority=draw(st.integers(0, 2)),
                num_slots=draw(st.integers(0, 30)),
                cpus_per_slot=cpus,
                gpus_per_slot=gpus,
            )
        )
    return made


CAPS = st.sampled_from([None, 0.25, 0.5, 1.0])


def left(capacity: Capacity, asked: list[Demand], given_: dict[str, int]) -> tuple[float, float]:
    cpus = capacity.num_cpus - sum(given_[one.tenant] * one.cpus_per_slot for one in asked)
    return cpus, capacity.num_gpus - sum(given_[one.tenant] * one.gpus_per_slot for one in asked)


def held(capacity: Capacity, asked: list[Demand], given_: dict[str, int]) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for one in asked:
        shares[one.user] += given_[one.tenant] * dominant_share(capacity, one)
    return shares


def can_use_another(
    one: Demand, capacity: Capacity, asked: list[Demand], given_: dict[str, int], cap: float | None
) -> bool:
    cpus, gpus = left(capacity, asked, given_)
    after = held(capacity, asked, given_)[one.user] + dominant_share(capacity, one)
    fits = one.cpus_per_slot <= cpus + TOLERANCE and one.gpus_per_slot <= gpus + TOLERANCE
    return given_[one.tenant] < one.num_slots and fits and (cap is None or after <= cap + TOLERANCE)


@given(CAPACITIES, demands(), CAPS)
def test_never_more_than_there_is_or_is_wanted_or_allowed(
    capacity: Capacity, asked: list[Demand], cap: float | None
) -> None:
    given_ = allocate(capacity, asked, user_cap=cap)
    assert given_.keys() == {one.tenant for one in asked}
    assert min(left(capacity, asked, given_)) >= -1e-6
    assert all(0 <= given_[one.tenant] <= one.num_slots for one in asked)
    assert all(share <= (cap or 1e9) + 1e-6 for share in held(capacity, asked, given_).values())


@given(CAPACITIES, demands(), CAPS)
def test_nothing_is_left_that_somebody_could_use(
    capacity: Capacity, asked: list[Demand], cap: float | None
) -> None:
    given_ = allocate(capacity, asked, user_cap=cap)
    assert not any(can_use_another(one, capacity, asked, given_, cap) for one in asked)


@given(st.integers(1, 40), demands())
def test_equals_differ_by_a_slot_at_most_unless_they_want_no_more(num_cpus: int, asked: list[Demand]) -> None:
    """Max-min fairness: who has less than another by more than a slot has all that it wants."""
    capacity = Capacity(num_cpus=float(num_cpus), num_gpus=0.0)
    asked = [demand(one.tenant, one.user, num_slots=one.num_slots) for one in asked]
    given_ = allocate(capacity, asked)
    shares = held(capacity, asked, given_)
    one_slot = 1 / num_cpus
    for poor, rich in permutations(shares, 2):
        if shares[poor] + one_slot < shares[rich] - 1e-9:
            assert all(given_[one.tenant] == one.num_slots for one in asked if one.user == poor)
    for first, second in permutations(asked, 2):
        if first.user == second.user and given_[first.tenant] + 1 < given_[second.tenant]:
            assert given_[first.tenant] == first.num_slots


@given(CAPACITIES, demands(), CAPS)
def test_lower_priorities_take_nothing_from_higher_ones(
    capacity: Capacity, asked: list[Demand], cap: float | None
) -> None:
    given_ = allocate(capacity, asked, user_cap=cap)
    for level in range(3):
        above = [one for one in asked if one.priority >= level]
        alone = allocate(capacity, above, user_cap=cap)
        assert all(given_[one.tenant] == alone[one.tenant] for one in above)


@given(CAPACITIES, demands())
def test_the_order_of_asking_does_not_matter(capacity: Capacity, asked: list[Demand]) -> None:
    assert allocate(capacity, asked) == allocate(capacity, list(reversed(asked)))


def test_users_come_before_their_tenants() -> None:
    asked = [demand("a1", "ada"), demand("a2", "ada"), demand("a3", "ada"), demand("b1", "ben")]
    assert allocate(Capacity(num_cpus=12, num_gpus=0), asked) == {"a1": 2, "a2": 2, "a3": 2, "b1": 6}


def test_gpus_are_shared_where_slots_take_them() -> None:
    asked = [
        demand("a", "ada", gpus_per_slot=1.0),
        demand("b", "ben", gpus_per_slot=0.5),
        demand("c", "cyd", cpus_per_slot=8.0),
    ]
    assert allocate(Capacity(num_cpus=64, num_gpus=4), asked) == {"a": 2, "b": 4, "c": 7}


def test_the_last_slot_goes_to_who_used_less() -> None:
    asked = [demand("a", "ada"), demand("b", "ben")]
    for rich, poor in (("a", "b"), ("b", "a")):
        usage = Usage(by_user={{"a": "ada", "b": "ben"}[rich]: 100.0})
        assert allocate(Capacity(num_cpus=3, num_gpus=0), asked, usage=usage) == {rich: 1, poor: 2}
