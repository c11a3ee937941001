"""The promotion variant against the paper's `get_job`, written out without any of its structures."""

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.rule_set import RuleSet

LENGTH, RUNGS = 9, (1, 3)
VALUES = st.sampled_from([number / 8 for number in range(9)])
CURVES = st.lists(st.lists(VALUES, min_size=LENGTH, max_size=LENGTH), min_size=1, max_size=30)


def make(protect_top: int = 0) -> RuleSet:
    return build_rules(
        EarlyStopping(rule="asha_pause", first_rung=0.1, reduction=3, protect_top=protect_top), True
    )


def waiting_at_first_rung(values: Sequence[float], protect_top: int = 0) -> RuleSet:
    rule = make(protect_top)
    for trial, value in enumerate(values):
        assert rule.on_epoch(trial, 1, LENGTH, value, "network").action == "pause"
    return rule


class Paper:
    """Algorithm 2 of arXiv 1810.05934: rungs of completed jobs, and who was promoted from each."""

    def __init__(self) -> None:
        self.rungs: list[list[tuple[float, int]]] = [[] for _ in RUNGS]
        self.promoted: list[set[int]] = [set() for _ in RUNGS]

    def complete(self, trial: int, rung: int, value: float) -> None:
        self.rungs[rung].append((value, trial))

    def get_job(self) -> tuple[int, int] | None:
        for k in reversed(range(len(RUNGS))):
            ranked = sorted(self.rungs[k], key=lambda entry: (-entry[0], entry[1]))
            candidates = [trial for _, trial in ranked[: len(ranked) // 3]]
            promotable = [trial for trial in candidates if trial not in self.promoted[k]]
            if promotable:
                return promotable[0], k
        return None


@settings(max_examples=60)
@given(CURVES, st.randoms(use_true_random=False))
def test_promotes_whom_the_papers_get_job_promotes(curves: list[list[float]], source: random.Random) -> None:
    rule, paper = make(), Paper()
    unstarted, running, paused = list(range(len(curves))), dict[int, int](), set[int]()
    while True:
        promoted, expected = rule.trial_to_unpause(paused), paper.get_job()
        assert promoted == (expected and expected[0])
        if promoted is not None and expected is not None and source.random() < 0.7:
            paper.promoted[expected[1]].add(promoted)
            paused.discard(promoted)
            running[promoted] = RUNGS[expected[1]] + 1
        elif unstarted and source.random() < 0.7:
            running[unstarted.pop(0)] = 1
        elif running:
            trial = source.choice(sorted(running))
            epoch = running.pop(trial)
            decision = rule.on_epoch(trial, epoch, LENGTH, curves[trial][epoch - 1], "network")
            assert (decision.action == "pause") == (epoch in RUNGS)
            if epoch in RUNGS:
                paper.complete(trial, RUNGS.index(epoch), max(curves[trial][:epoch]))
                paused.add(trial)
            elif epoch < LENGTH:
                running[trial] = epoch + 1
        elif not unstarted and promoted is None:
            break


def test_every_trial_waits_at_its_rungs_with_a_reason() -> None:
    decision = make().on_epoch(0, 1, LENGTH, 0.5, "network")
    assert decision.reason == "waits at 10% of its schedule, epoch 1"


def test_nobody_is_promoted_before_as_many_came_as_the_reduction_says() -> None:
    rule = waiting_at_first_rung([0.5, 0.7])
    assert rule.trial_to_unpause({0, 1}) is None
    rule.on_epoch(2, 1, LENGTH, 0.1, "network")
    assert rule.trial_to_unpause({0, 1, 2}) == 1
    assert rule.trial_to_unpause({0, 2}) is None, "one of three goes on"


def test_at_the_end_the_best_of_a_rung_goes_on_though_few_came() -> None:
    rule = waiting_at_first_rung([0.5, 0.7])
    assert rule.trial_to_unpause({0, 1}, is_closing=True) == 1
    assert rule.trial_to_unpause({0}, is_closing=True) is None, "the best has gone on already"


def test_at_the_end_the_best_of_the_study_go_on_though_they_are_behind_at_their_rung() -> None:
    rule = waiting_at_first_rung([0.5, 0.7, 0.4], protect_top=2)
    assert rule.trial_to_unpause({0, 2}, is_closing=True) == 0
    assert rule.trial_to_unpause({2}, is_closing=True) is None


def test_the_highest_rung_comes_first() -> None:
    rule = waiting_at_first_rung([number / 10 for number in range(9)])
    for trial in (6, 7, 8):
        rule.on_epoch(trial, 2, LENGTH, 0.1, "network")
        rule.on_epoch(trial, 3, LENGTH, 0.1, "network")
    rule.on_epoch(9, 1, LENGTH, 1.0, "network")
    assert rule.trial_to_unpause(set(range(10))) == 8, (
        "one of three at the second rung, before the best of the first"
    )
    assert rule.trial_to_unpause(set(range(10)) - {8}) == 9


def test_one_that_waits_at_a_higher_rung_is_not_promoted_from_a_lower_one() -> None:
    rule = waiting_at_first_rung([0.5, 0.7, 0.1])
    rule.on_epoch(1, 2, LENGTH, 0.7, "network")
    assert rule.on_epoch(1, 3, LENGTH, 0.7, "network").action == "pause"
    assert rule.trial_to_unpause({0, 1, 2}) is None


def test_a_trial_that_died_after_its_promotion_waits_and_is_promoted_again() -> None:
    rule = waiting_at_first_rung([0.5, 0.7, 0.1])
    assert rule.trial_to_unpause({0, 2}) is None, "trial 1 runs"
    assert rule.on_epoch(1, 1, LENGTH, 0.7, "network").action == "pause"
    assert rule.trial_to_unpause({0, 1, 2}) == 1


def test_heads_and_networks_are_promoted_among_themselves() -> None:
    rule = waiting_at_first_rung([0.5, 0.7, 0.6])
    for trial in (3, 4, 5):
        rule.on_epoch(trial, 1, LENGTH, 0.1 * trial - 0.2, "head")
    assert rule.trial_to_unpause(set(range(6))) == 1
    assert rule.trial_to_unpause(set(range(6)) - {1}) == 5
