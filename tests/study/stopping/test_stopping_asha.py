"""Successive halving against an independent account of who should go on, also among trials of different
lengths and groups.
"""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.rule_set import RuleSet
from study.stopping.rungs import rung_epoch, rung_shares

Curve = list[float]
CURVES = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=25), min_size=1, max_size=30)
"""Of trials of different lengths."""
FIRST_RUNG, REDUCTION = 0.1, 3
SHARES = (Fraction(1, 10), Fraction(3, 10), Fraction(9, 10))


def make(*, maximise: bool = True) -> RuleSet:
    return build_rules(
        EarlyStopping(rule="asha", first_rung=FIRST_RUNG, reduction=REDUCTION, protect_top=0), maximise
    )


def goes_on(rule: RuleSet, trial: int, epoch: int, value: float) -> bool:
    return rule.on_epoch(trial, epoch, 9, value, "network").action == "continue"


def group_of(trial: int, epoch: int, length: int) -> str:
    """Every fourth trial trains its head alone for the first half."""
    return "head" if trial % 4 == 0 and 2 * epoch <= length else "network"


def test_rungs_are_shares_of_a_trials_own_schedule_rounded_up_to_whole_epochs() -> None:
    shares = rung_shares(0.1, 3)
    assert shares == pytest.approx((0.1, 0.3, 0.9))
    assert [rung_epoch(share, 9) for share in shares] == [1, 3, 9]
    assert [rung_epoch(share, 30) for share in shares] == [3, 9, 27]
    assert [rung_epoch(share, 3) for share in shares] == [1, 1, 3]
    assert rung_shares(0.5, 2) == (0.5,)


@given(st.floats(0.001, 0.999), st.integers(2, 16), st.integers(1, 200))
def test_no_rung_comes_before_its_share_or_an_epoch_late(first: float, reduction: int, length: int) -> None:
    for share in rung_shares(first, reduction):
        epoch = rung_epoch(share, length)
        assert epoch >= share * length - 1e-6
        assert epoch == 1 or epoch - 1 < share * length + 1e-6


def test_the_first_at_a_rung_goes_on_and_the_worst_of_three_does_not() -> None:
    rule = make()
    assert goes_on(rule, 0, 1, 0.5)
    assert not goes_on(rule, 1, 1, 0.4)
    assert goes_on(rule, 2, 1, 0.6)
    assert goes_on(rule, 2, 2, 0.0), "epoch 2 is no rung"


def test_less_is_better_where_the_objective_is_minimised() -> None:
    rule = make(maximise=False)
    assert goes_on(rule, 0, 1, 0.5)
    assert not goes_on(rule, 1, 1, 0.6)
    assert goes_on(rule, 2, 1, 0.4)


def test_a_trial_that_is_stopped_is_told_its_place() -> None:
    rule = make()
    goes_on(rule, 0, 1, 0.5)
    assert (
        rule.on_epoch(1, 1, 9, 0.4, "network").reason
        == "behind the others at epoch 1: place 2 of 2 at 10% of the schedule"
    )


def test_trials_of_different_lengths_meet_at_the_same_share() -> None:
    rule = make()
    for epoch in range(1, 4):
        assert rule.on_epoch(0, epoch, 30, 0.5, "network").action == "continue"
    assert rule.on_epoch(1, 1, 10, 0.4, "network").action == "stop", "epoch 1 of 10 is epoch 3 of 30"


def test_a_head_trained_alone_is_not_compared_with_a_network() -> None:
    rule = make()
    assert rule.on_epoch(0, 1, 9, 0.9, "network").action == "continue"
    assert rule.on_epoch(1, 1, 9, 0.1, "head").action == "continue"
    assert rule.on_epoch(2, 1, 9, 0.05, "head").action == "stop"


def survivors(curves: list[Curve], rule: RuleSet, order: list[int]) -> dict[int, int]:
    """Epochs that each trial got, when trials run one after another in `order`."""
    reached: dict[int, int] = {}
    for trial in order:
        length = len(curves[trial])
        for epoch, value in enumerate(curves[trial], start=1):
            reached[trial] = epoch
            if rule.on_epoch(trial, epoch, length, value, group_of(trial, epoch, length)).action == "stop":
                break
    return reached


def independent_survivors(curves: list[Curve], order: list[int]) -> dict[int, int]:
    """The same by the paper's words: at rung k a trial is kept if it ranks in the top third of those that
    came so far.
    """
    arrived: dict[tuple[Fraction, str], list[float]] = {}
    reached = {}
    for trial in order:
        length = reached[trial] = len(curves[trial])
        rungs = [(share, max(1, math.ceil(share * length))) for share in SHARES]
        for epoch in sorted({epoch for _, epoch in rungs if epoch < length}):
            value, is_kept = max(curves[trial][:epoch]), True
            for share in [share for share, at in rungs if at == epoch]:
                others = arrived.setdefault((share, group_of(trial, epoch, length)), [])
                others.append(value)
                is_kept &= value >= sorted(others, reverse=True)[max(len(others) // 3, 1) - 1]
            if not is_kept:
                reached[trial] = epoch
                break
    return reached


@settings(max_examples=60)
@given(CURVES, st.randoms(use_true_random=False))
def test_the_same_trials_are_stopped_as_by_an_independent_account(
    curves: list[Curve], source: random.Random
) -> None:
    order = list(range(len(curves)))
    source.shuffle(order)
    assert survivors(curves, make(), order) == independent_survivors(curves, order)
