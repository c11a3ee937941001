"""Successive halving against an independent account of who should go on, and rebuilt from a record."""

import random

from hypothesis import given
from hypothesis import strategies as st

from study.search.halving import Halving

CURVES = st.lists(st.lists(st.floats(0, 1), min_size=9, max_size=9), min_size=1, max_size=30)


def make(epochs: int = 9, *, maximise: bool = True) -> Halving:
    return Halving.over(epochs=epochs, first_rung=0.1, reduction=3, maximise=maximise)


def test_rungs_grow_by_the_reduction_and_end_before_the_last_epoch() -> None:
    assert make(9).rungs == (1, 3)
    assert make(27).rungs == (3, 9)
    assert make(30).rungs == (3, 9, 27)
    assert make(1).rungs == ()


def test_the_first_at_a_rung_goes_on_and_the_worst_of_three_does_not() -> None:
    halving = make()
    assert halving.goes_on(0, 1, 0.5)
    assert not halving.goes_on(1, 1, 0.4)
    assert halving.goes_on(2, 1, 0.6)
    assert halving.goes_on(3, 2, 0.0), "epoch 2 is no rung"


def test_less_is_better_where_the_objective_is_minimised() -> None:
    halving = make(maximise=False)
    assert halving.goes_on(0, 1, 0.5)
    assert not halving.goes_on(1, 1, 0.6)
    assert halving.goes_on(2, 1, 0.4)


def survivors(curves: list[list[float]], halving: Halving, order: list[int]) -> dict[int, int]:
    """Epochs that each trial got, when trials run one after another in `order`."""
    reached: dict[int, int] = {}
    for trial in order:
        for epoch in range(1, 10):
            reached[trial] = epoch
            if not halving.goes_on(trial, epoch, max(curves[trial][:epoch])):
                break
    return reached


def independent_survivors(curves: list[list[float]], order: list[int]) -> dict[int, int]:
    """The same by the paper's words: at rung k a trial is kept if it ranks in the top third of those that came so far."""
    arrived: dict[int, list[float]] = {1: [], 3: []}
    reached = {}
    for trial in order:
        reached[trial] = 9
        for rung in (1, 3):
            value = sorted(curves[trial][:rung])[-1]
            arrived[rung].append(value)
            ranked = sorted(arrived[rung], reverse=True)
            if value < ranked[max(len(ranked) // 3, 1) - 1]:
                reached[trial] = rung
                break
    return reached


@given(CURVES, st.randoms(use_true_random=False))
def test_the_same_trials_are_stopped_as_by_an_independent_account(curves: list[list[float]], source: random.Random) -> None:
    order = list(range(len(curves)))
    source.shuffle(order)
    assert survivors(curves, make(), order) == independent_survivors(curves, order)


@given(CURVES)
def test_rungs_rebuilt_from_recorded_epochs_are_those_of_an_uninterrupted_study(curves: list[list[float]]) -> None:
    uninterrupted, rebuilt = make(), make()
    reached = survivors(curves, uninterrupted, list(range(len(curves))))
    for trial, epochs in reached.items():
        rebuilt.replay(trial, {epoch: curves[trial][epoch - 1] for epoch in range(1, epochs + 1)})
    assert rebuilt.values == uninterrupted.values
