"""What every sampler draws lies in the space, is new, and follows from the seed and the record."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tabulated import CONDITIONAL, RULES, make_record, run_trials

from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.named import named_spaces
from search_spaces.space import SearchSpace
from study.search.record.study_record import StudyRecord
from study.search.sampling.coordinates import random_point, sobol_point
from study.search.sampling.enumeration import identity, num_points, on_grid, options_of, walk
from study.search.sampling.samplers import sample, translate
from study.search.sampling.suggesting import held

SPACES = tuple(named_spaces().values())
QUICK = tuple(rule for rule in RULES if rule != "gp")
"""The Gaussian process takes PyTorch, and a quarter of a second a draw; it has a test of its own."""


@settings(max_examples=20)
@given(st.sampled_from(SPACES), st.integers(0, 1000))
def test_points_of_chance_and_of_sequences_lie_in_the_space(space: SearchSpace, seed: int) -> None:
    space.check(random_point(space, (seed, 1)))
    space.check(sobol_point(space, seed, seed))
    space.check(random_point(on_grid(space, 5), (seed, 1)))
    space.check(sample(space, optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("rule", QUICK)
def test_every_sampler_draws_new_points_of_every_named_space(
    tmp_path: Path, rule: str, space: SearchSpace
) -> None:
    points = run_trials(make_record(tmp_path, rule=rule), space, 13)
    for point in points:
        space.check(point)
    assert len(points) == 13
    assert len(set(map(identity, points))) == (13 if space.dimensions else 1), (
        "where nothing is free, its one point is repeated"
    )


@pytest.mark.parametrize("rule", QUICK)
def test_a_restart_draws_what_an_uninterrupted_study_would(tmp_path: Path, rule: str) -> None:
    num_trials = 26 if rule == "nsga2" else 13  # past the random ones that all begin with
    whole = run_trials(make_record(tmp_path / "whole", rule=rule), CONDITIONAL, num_trials)
    first = run_trials(make_record(tmp_path / "cut", rule=rule), CONDITIONAL, 5)
    second = run_trials(StudyRecord.open(tmp_path / "cut"), CONDITIONAL, num_trials - 7)
    assert first + second + run_trials(StudyRecord.open(tmp_path / "cut"), CONDITIONAL, 2) == whole
    assert len(set(map(identity, whole))) == num_trials
    other = make_record(tmp_path / "other", rule=rule).ask(CONDITIONAL, 8)
    assert other is not None
    assert other[1] != whole[0]


def test_the_gaussian_process_draws_again_what_it_drew(tmp_path: Path) -> None:
    points = run_trials(make_record(tmp_path / "once", rule="gp"), CONDITIONAL, 12)
    make_record(tmp_path / "again", rule="gp")
    again = [
        point for _ in range(3) for point in run_trials(StudyRecord.open(tmp_path / "again"), CONDITIONAL, 4)
    ]
    assert again == points
    CONDITIONAL.check(points[-1])
    chance = run_trials(make_record(tmp_path / "chance", rule="random"), CONDITIONAL, 12)
    assert chance[-1] != points[-1]


FINITE = SearchSpace(
    name="finite",
    about="",
    dimensions=(
        Choice(name="optimizer", options=("sgd", "adam")),
        Int(name="freeze_depth", low=0, high=2),
        Choice(name="nesterov", options=(True, False), when={"optimizer": one_of("sgd")}),
        Int(name="warmup", low=1, high=4, log=True, when={"freeze_depth": one_of(1, 2)}),
    ),
)


@pytest.mark.parametrize("rule", QUICK)
def test_a_finite_space_is_tried_whole_and_then_ends_the_study(tmp_path: Path, rule: str) -> None:
    space = SearchSpace(
        name="f", about="", dimensions=(*FINITE.dimensions[:3], Float(name="dropout", low=0.1, high=0.1))
    )
    record = make_record(tmp_path, rule=rule)
    assert not record.is_exhausted(space)
    points = run_trials(record, space, 20)
    assert set(map(identity, points)) == set(
        map(identity, walk(space, lambda dimension: options_of(dimension) or ()))
    )
    assert len(points) == num_points(space) == 9
    assert record.is_exhausted(space)
    record.enqueue(space, points[0], "again")
    assert not record.is_exhausted(space), "a point put in front is tried, also a second time"
    asked = record.ask(space, 0)
    assert asked is not None
    assert asked[1] == points[0]
    assert record.ask(space, 0) is None


@settings(max_examples=30)
@given(st.data())
def test_points_are_counted_as_they_are_enumerated(data: st.DataObject) -> None:
    kept = data.draw(
        st.lists(st.sampled_from(FINITE.dimensions[1:]), unique_by=lambda dimension: dimension.name)
    )
    if all(dimension.name != "freeze_depth" for dimension in kept):
        kept = [dimension for dimension in kept if dimension.name != "warmup"]
    space = SearchSpace(
        name="f",
        about="",
        dimensions=tuple(d for d in FINITE.dimensions if d.name == "optimizer" or d in kept),
    )
    points = [identity(point) for point in walk(space, lambda dimension: options_of(dimension) or ())]
    assert len(set(points)) == len(points) == num_points(space)


def test_a_grid_has_both_ends_and_even_steps_between() -> None:
    space = SearchSpace(
        name="g",
        about="",
        dimensions=(
            Float(name="a", low=0.0, high=1.0),
            Float(name="b", low=1e-4, high=1.0, log=True),
            Float(name="c", low=2.0, high=2.0),
        ),
    )
    a, b, c = (
        dimension.options for dimension in on_grid(space, 5).dimensions if isinstance(dimension, Choice)
    )
    assert a == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert b == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert (b[0], b[-1], c) == (1e-4, 1.0, (2.0,))
    assert num_points(on_grid(space, 5)) == 25
    assert num_points(space) == float("inf")


def test_both_ends_of_a_whole_number_are_reached_as_often_as_the_others() -> None:
    space = SearchSpace(
        name="s", about="", dimensions=(Int(name="x", low=0, high=4), Choice(name="y", options=(True, False)))
    )
    drawn = [random_point(space, (0, i)) for i in range(1000)]
    spread = [sobol_point(space, 0, i) for i in range(1000)]
    for points in (drawn, spread):
        counts = [sum(point["x"] == x for point in points) for x in range(5)]
        assert min(counts) > 150
        assert {point["y"] for point in points} == {True, False}


def test_a_sequence_fills_the_space_more_evenly_than_chance() -> None:
    """Of 64 points, each 64th of a dimension should have one; chance leaves a third of them empty."""
    space = SearchSpace(
        name="s", about="", dimensions=(Float(name="x", low=0, high=64), Float(name="y", low=0, high=64))
    )
    for name in ("x", "y"):
        assert len({int(float(sobol_point(space, 3, i)[name])) for i in range(64)}) == 64
        assert len({int(float(random_point(space, (3, i))[name])) for i in range(64)}) < 50


@settings(max_examples=30)
@given(st.sampled_from(SPACES), st.integers(0, 1000))
def test_a_point_is_translated_as_it_is(space: SearchSpace, seed: int) -> None:
    point = random_point(space, (seed,))
    params, distributions = translate(space, point)
    assert params.keys() == distributions.keys()
    fixed = optuna.trial.FixedTrial(params)
    assert sample(space, fixed) == point


@pytest.mark.parametrize("rule", QUICK)
def test_pinned_values_hold_where_their_dimensions_can_have_them(tmp_path: Path, rule: str) -> None:
    record = make_record(tmp_path, rule=rule)
    run_trials(record, CONDITIONAL, 12)
    pins = {"learning_rate": 5e-2, "freeze_depth": 3}
    for _ in range(4):
        asked = record.ask(CONDITIONAL, 7, pins)
        assert asked is not None
        CONDITIONAL.check(asked[1])
        assert asked[1]["freeze_depth"] == 3
        if asked[1]["optimizer"] == "sgd":
            assert asked[1]["learning_rate"] == 5e-2, "in sgd's range; adam's ends below it"
    assert record.ask(held(CONDITIONAL, pins), 7) is not None


def test_true_and_one_are_two_values_and_48_is_48() -> None:
    assert identity({"x": True}) != identity({"x": 1})
    assert identity({"x": 48}) == identity({"x": 48.0})
