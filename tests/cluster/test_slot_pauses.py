"""Who gives back slots for whom: never in vain, never for an equal, and no more than is needed."""

import pytest
from hypothesis import given
from test_fair_share import CAPACITIES, claim, claims, left

from cluster.fair_share import Claim, allocate
from cluster.nodes import Capacity
from cluster.slot_pauses import pauses


def after(capacity: Capacity, asked: list[Claim]) -> dict[str, int]:
    """Slots that each still holds once all pauses have come."""
    found = pauses(capacity, asked, allocate(capacity, asked))
    return {
        one.demand.tenant: found[one.demand.tenant].num_kept
        if one.demand.tenant in found
        else one.num_running
        for one in asked
    }


@given(CAPACITIES, claims())
def test_nobody_keeps_less_than_is_allotted(capacity: Capacity, asked: list[Claim]) -> None:
    slots, found = allocate(capacity, asked), after(capacity, asked)
    for one in asked:
        name = one.demand.tenant
        assert min(one.num_running, slots[name]) <= found[name] <= one.num_running


@given(CAPACITIES, claims())
def test_slots_are_given_back_for_others_that_rank_higher_or_are_within_their_cap(
    capacity: Capacity, asked: list[Claim]
) -> None:
    slots = allocate(capacity, asked)
    by_name = {one.demand.tenant: one for one in asked}
    for name, pause in pauses(capacity, asked, slots).items():
        loser = by_name[name]
        for gainer in map(by_name.__getitem__, pause.in_favour_of):
            assert gainer.num_running < slots[gainer.demand.tenant]
            ranks_higher = gainer.rank(0) < loser.rank(1)
            assert ranks_higher or (loser.cap is not None and gainer.demand.user != loser.demand.user)


@given(CAPACITIES, claims())
def test_nothing_is_paused_where_there_is_room(capacity: Capacity, asked: list[Claim]) -> None:
    slots = allocate(capacity, asked)
    wanted = {name: max(slots[name], one.num_running) for one in asked for name in [one.demand.tenant]}
    if min(left(capacity, asked, wanted)) >= 0:
        assert pauses(capacity, asked, slots) == {}


@given(CAPACITIES, claims())
def test_what_has_paused_is_not_asked_for_again(capacity: Capacity, asked: list[Claim]) -> None:
    """Once the slots have gone over, all is quiet."""
    slots = allocate(capacity, asked)
    settled = [
        claim(
            one.demand.tenant,
            one.demand.user,
            priority=one.demand.priority,
            rises=one.first_priority - one.demand.priority,
            num_slots=one.demand.num_slots,
            cpus_per_slot=one.demand.cpus_per_slot,
            gpus_per_slot=one.demand.gpus_per_slot,
            cap=one.cap,
            is_last=one.is_last,
            num_running=slots[one.demand.tenant],
        )
        for one in asked
    ]
    assert pauses(capacity, settled, slots) == {}


CPUS = Capacity(num_cpus=4, num_gpus=0)


@pytest.mark.parametrize(
    ("other", "num_kept"),
    [
        (claim("b", "ben", priority=1, num_slots=1), 3),
        (claim("b", "ben", priority=1, num_slots=9), 0),
        (claim("b", "ben", num_slots=9), 4),
        (claim("b", "ben", priority=-1, num_slots=9), 4),
    ],
)
def test_a_higher_priority_gets_slots_at_the_next_pause_and_an_equal_as_they_become_free(
    other: Claim, num_kept: int
) -> None:
    low = claim("a", "ada", num_running=4)
    assert after(CPUS, [low, other])["a"] == num_kept


def test_who_borrows_gives_back_as_much_as_another_may_have() -> None:
    borrower, other = claim("a", "ada", num_running=4, cap=0.5), claim("b", "ben")
    assert after(CPUS, [borrower, other])["a"] == 2
    mine = claim("a2", "ada", cap=0.5)
    assert after(CPUS, [borrower, mine])["a"] == 4, "nobody borrows from themselves"


def test_the_lowest_gives_first_and_only_what_helps() -> None:
    capacity = Capacity(num_cpus=16, num_gpus=2)
    asked = [
        claim("lowest", "ada", priority=-2, num_running=4, num_slots=2),
        claim("low", "ada", priority=-1, num_running=2, gpus_per_slot=1.0),
        claim("high", "ben", priority=1, num_slots=1, gpus_per_slot=1.0),
    ]
    assert after(capacity, asked) == {"lowest": 4, "low": 1, "high": 0}


def test_who_lacks_a_kind_of_gpu_gets_it_from_those_that_hold_one() -> None:
    capacity = Capacity(num_cpus=16, num_gpus=4, gpus_by_kind={"H100": 1.0})
    asked = [
        claim("low", "ada", priority=-1, num_running=1, num_slots=1, gpus_per_slot=1.0, gpu_kind="H100"),
        claim("lowest", "ada", priority=-2, num_running=1, num_slots=1, gpus_per_slot=1.0),
        claim("high", "ben", priority=1, num_slots=1, gpus_per_slot=1.0, gpu_kind="H100"),
    ]
    assert after(capacity, asked) == {"low": 0, "lowest": 1, "high": 0}


def test_a_slot_that_would_not_fit_in_the_end_costs_nobody_anything() -> None:
    """A higher one with four CPUs a slot, where an equal holds too much of the room."""
    asked = [
        claim("low", "ada", priority=-1, num_running=1),
        claim("equal", "cyd", priority=1, num_running=3, cpus_per_slot=1.0),
        claim("high", "ben", priority=1, num_slots=1, cpus_per_slot=4.0),
    ]
    assert after(CPUS, asked)["low"] == 1
