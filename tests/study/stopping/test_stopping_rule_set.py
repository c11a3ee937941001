"""What holds under every rule: no number, the best of the study, plateaus, and rebuilding from a record."""

import random
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.stopping.decision import Decision
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.rule_set import RuleSet

SPECS = {
    "none": EarlyStopping(rule="none", plateau=2),
    "asha": EarlyStopping(rule="asha", first_rung=0.15, protect_top=1),
    "asha_pause": EarlyStopping(rule="asha_pause", first_rung=0.15, reduction=2),
    "hyperband": EarlyStopping(rule="hyperband", first_rung=0.1, reduction=2),
    "median": EarlyStopping(rule="median", min_trials=1, plateau=4),
}
NAN = float("nan")
Curves = list[tuple[int, list[float]]]
VALUES = st.one_of(st.sampled_from([0.1, 0.5, NAN]), st.floats(0, 1))
CURVES = st.lists(
    st.tuples(st.integers(0, 3), st.lists(VALUES, min_size=1, max_size=9)), min_size=1, max_size=12
)
"""Epochs that a head is trained alone, and values, of trials of different lengths."""


@pytest.mark.parametrize("rule", SPECS)
@pytest.mark.parametrize("value", [NAN, float("inf"), float("-inf")])
def test_a_value_that_is_no_number_ends_a_trial_at_once(rule: str, value: float) -> None:
    decision = build_rules(SPECS[rule], True).on_epoch(0, 1, 9, value, "network")
    assert decision == Decision("stop", f"its objective was {value} at epoch 1")


def test_the_best_of_the_study_are_never_stopped() -> None:
    rule = build_rules(EarlyStopping(rule="asha", first_rung=0.1, protect_top=2), True)
    decisions = [
        rule.on_epoch(trial, 1, 9, value, "network").action
        for trial, value in enumerate([0.9, 0.5, 0.4, 0.6, 0.55])
    ]
    assert decisions == ["continue", "continue", "stop", "continue", "stop"]


def test_the_guard_knows_what_trials_came_to_later() -> None:
    rule = build_rules(EarlyStopping(rule="asha", first_rung=0.5, protect_top=1), False)
    for epoch, loss in enumerate([0.9, 0.8, 0.2], start=1):
        rule.on_epoch(0, epoch, 3, loss, "network")
    rule.on_epoch(1, 1, 3, 0.5, "network")
    assert rule.on_epoch(1, 2, 3, 0.5, "network").action == "continue", "ahead at the rung, behind in the end"
    assert rule.on_epoch(2, 1, 3, 0.6, "network").action == "continue", "no rung"
    assert rule.on_epoch(2, 2, 3, 0.6, "network").action == "stop"


def test_a_trial_ends_after_epochs_without_a_better_value() -> None:
    rule = build_rules(EarlyStopping(rule="none", plateau=3, protect_top=0), True)
    decisions = [
        rule.on_epoch(0, epoch, 20, value, "network")
        for epoch, value in enumerate([0.1, 0.5, 0.4, 0.5, 0.3], start=1)
    ]
    assert [decision.action for decision in decisions] == ["continue"] * 4 + ["stop"]
    assert decisions[-1].reason == "no better value in the 3 epochs up to epoch 5"


def test_a_plateau_of_the_head_alone_is_forgotten_where_the_network_begins_to_train() -> None:
    rule = build_rules(EarlyStopping(rule="none", plateau=3, protect_top=0), True)
    groups = ["head"] * 3 + ["network"] * 5
    decisions = [
        rule.on_epoch(0, epoch, 20, 0.5, group).action for epoch, group in enumerate(groups, start=1)
    ]
    assert decisions == ["continue"] * 5 + ["stop"] * 3, "epochs 4, 5 and 6 brought nothing"


def test_an_epoch_told_twice_counts_once_and_one_long_passed_is_not_judged_again() -> None:
    rule = build_rules(EarlyStopping(rule="asha", first_rung=0.1, protect_top=0), True)
    assert rule.on_epoch(0, 1, 9, 0.5, "network").action == "continue"
    assert rule.on_epoch(0, 2, 9, 0.5, "network").action == "continue"
    assert rule.on_epoch(1, 1, 9, 0.9, "network").action == "continue"
    assert rule.on_epoch(0, 1, 9, 0.5, "network").action == "continue", (
        "it started over, having passed this rung before"
    )
    for _ in range(2):
        assert rule.on_epoch(2, 1, 9, 0.8, "network").reason.endswith("place 2 of 3 at 10% of the schedule")


def test_a_last_epoch_is_never_judged_but_is_known() -> None:
    rule = build_rules(EarlyStopping(rule="none", plateau=1, protect_top=1), True)
    assert rule.on_epoch(0, 1, 2, 0.5, "network").action == "continue"
    assert rule.on_epoch(0, 2, 2, 0.5, "network").action == "continue"
    rule.on_epoch(1, 1, 3, 0.4, "network")
    assert rule.on_epoch(1, 2, 3, 0.4, "network").action == "stop"


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=50)
@given(curves=CURVES, cut=st.integers(0, 60), source=st.randoms(use_true_random=False))
def test_a_rule_rebuilt_from_the_record_judges_as_one_that_was_not_interrupted(
    name: str, curves: Curves, cut: int, source: random.Random
) -> None:
    rules = [build_rules(SPECS[name], True)]
    record: dict[int, dict[int, float]] = {}
    running, paused, num_reports = dict.fromkeys(range(len(curves)), 0), set[int](), 0
    while running or paused:
        if num_reports == cut and len(rules) == 1:
            rules.append(rebuilt(name, curves, record, source))
        promoted = agreed([rule.trial_to_unpause(paused, is_closing=not running) for rule in rules])
        if promoted is not None:
            paused.discard(promoted)
            running[promoted] = max(record[promoted])
        if not running:
            break
        trial = source.choice(sorted(running))
        num_alone, values = curves[trial]
        epoch = running.pop(trial) + 1
        value = record.setdefault(trial, {})[epoch] = values[epoch - 1]
        decision = agreed(
            [rule.on_epoch(trial, epoch, len(values), value, group_of(num_alone, epoch)) for rule in rules]
        )
        num_reports += 1
        if decision.action == "pause":
            paused.add(trial)
        elif decision.action == "continue" and epoch < len(values):
            running[trial] = epoch


def rebuilt(name: str, curves: Curves, record: dict[int, dict[int, float]], source: random.Random) -> RuleSet:
    """A rule that is told of recorded trials in any order, and of some of them twice."""
    rule = build_rules(SPECS[name], True)
    for trial in source.sample(sorted(record), len(record)) + source.sample(sorted(record), len(record) // 2):
        num_alone, values = curves[trial]
        rule.replay(trial, record[trial], len(values), partial(group_of, num_alone))
    return rule


def group_of(num_alone: int, epoch: int) -> str:
    return "head" if epoch <= num_alone else "network"


def agreed(answers: list[Any]) -> Any:
    assert all(answer == answers[0] for answer in answers)
    return answers[0]
