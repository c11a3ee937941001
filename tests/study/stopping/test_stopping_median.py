"""The median rule against NumPy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.rule_set import RuleSet

LENGTH, GRACE, FEWEST = 8, 0.25, 2
CURVES = st.lists(st.lists(st.floats(0, 1), min_size=LENGTH, max_size=LENGTH), min_size=1, max_size=12)


def make() -> RuleSet:
    return build_rules(EarlyStopping(rule="median", first_rung=GRACE, min_trials=FEWEST, protect_top=0), True)


def take(rule: RuleSet, trial: int, curve: list[float], length: int = LENGTH, group: str = "network") -> int:
    """Epochs that a trial gets."""
    for epoch, value in enumerate(curve, start=1):
        if rule.on_epoch(trial, epoch, length, value, group).action == "stop":
            return epoch
    return len(curve)


def independent_epochs(curve: list[float], others: list[list[float]]) -> int:
    """By Vizier's words: stop where the best so far is below the median of the running averages of the
    others.
    """
    for epoch in range(1, LENGTH):
        means = [np.cumsum(other)[epoch - 1] / epoch for other in others if len(other) >= epoch]
        if epoch >= GRACE * LENGTH and len(means) >= FEWEST and np.max(curve[:epoch]) < np.median(means):
            return epoch
    return LENGTH


@settings(max_examples=60)
@given(CURVES)
def test_stops_what_is_below_the_median_of_running_averages(curves: list[list[float]]) -> None:
    rule, seen = make(), list[list[float]]()
    for trial, curve in enumerate(curves):
        epochs = take(rule, trial, curve)
        assert epochs == independent_epochs(curve, seen)
        seen.append(curve[:epochs])


def test_a_trial_is_compared_at_the_same_share_with_trials_of_other_lengths() -> None:
    rule = make()
    for trial in (0, 1):
        take(rule, trial, [0.1] * 4 + [0.9] * 4)
    assert take(rule, 2, [0.3] * 32, length=32) == 21, (
        "their averages pass 0.3 with epoch 6 of 8, which begins at 63 %"
    )
    assert take(rule, 3, [0.3] * 400, length=400) == 252, "longer than there are steps"


def test_too_few_others_and_other_groups_stop_nobody() -> None:
    rule = make()
    take(rule, 0, [0.9] * LENGTH)
    assert take(rule, 1, [0.1] * LENGTH) == LENGTH, "one other is too few"
    take(rule, 2, [0.9] * LENGTH)
    assert take(rule, 3, [0.1] * LENGTH, group="head") == LENGTH
    assert take(rule, 4, [0.1] * LENGTH) == 2
