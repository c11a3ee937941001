"""Exploring: which values change when a trial goes on from another's checkpoint, how far, and what is
refused.
"""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tabulated import MANIFEST

from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.named import find_space
from search_spaces.space import Point, SearchSpace
from study.errors import SpecError
from study.home import Home
from study.recipes.point import build_recipe
from study.results.replay import replay_named
from study.search.pbt.explorer import Explorer, population_remarks
from study.search.record.study_record import StudyRecord
from study.search.sampling.coordinates import random_point
from study.study_file.study_spec import StudySpec
from study.yaml_file import write_yaml
from trainables.recipe.continuation import lasting

EPOCHS = 20
MINIMAL = {"study": "s", "dataset": "table", "early_stopping": "pbt"}
NEVER = (
    "architecture",
    "weights",
    "optimizer",
    "batch_size",
    "image_size",
    "schedule",
    "warmup_fraction",
    "decay_fraction",
    "step_epochs",
    "fine_tuning",
    "freeze_depth",
    "range_end",
    "probe_fraction",
    "unfreezing_stages",
    "stage_cut_1",
    "stage_epochs_1",
    "polish_fraction",
    "weights_from",
    "mixing_off_fraction",
    "crop_margin",
    "loss",
    "mixing",
)
OFTEN = (
    "learning_rate",
    "weight_decay",
    "momentum",
    "dropout",
    "label_smoothing",
    "augmentation_strength",
    "class_weight_power",
)


def explorer(space: SearchSpace, resample: float = 0.25, seed: int = 0) -> Explorer:
    return Explorer(space=space, manifest=MANIFEST, epochs=EPOCHS, seed=seed, resample=resample)


def lasting_of(point: Point) -> dict[str, Any]:
    return lasting(build_recipe(point, dataset=MANIFEST, epochs=EPOCHS, seed=0))


@pytest.mark.parametrize("name", ["digits", "from_scratch", "fine_tuning", "everything"])
def test_numbers_that_no_state_is_made_of_may_change_and_no_others(name: str) -> None:
    space = find_space(name)
    names = explorer(space).names()
    assert not set(names) & set(NEVER)
    assert {one for one in OFTEN if one in space.names} <= set(names)


@settings(max_examples=40)
@given(
    st.sampled_from(["digits", "from_scratch", "fine_tuning", "everything"]),
    st.integers(0, 1000),
    st.floats(0, 1),
)
def test_a_copy_has_a_configuration_of_the_space_that_its_checkpoint_fits(
    name: str, number: int, resample: float
) -> None:
    space = find_space(name)
    point = random_point(space, (number,))
    try:
        before = lasting_of(point)
    except ValueError:
        return  # values that contradict each other: such a trial fails before it has a checkpoint
    explored = explorer(space, resample).explored(point, number, {})
    space.check(explored)
    assert lasting_of(explored) == before
    assert explored == explorer(space, resample).explored(point, number, {}), "it follows from the arguments"
    for dimension, value in explored.items():
        if isinstance(value, str | bool):
            assert value == point[dimension], "choices stay"


MIXED = SearchSpace(
    name="mixed",
    about="",
    dimensions=(
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True),
        Int(name="rand_magnitude", low=0, high=30),
        Float(name="dropout", low=0.0, high=0.5),
        Choice(name="batch_size", options=(32, 64)),
        Float(name="focal_gamma", low=1.0, high=3.0, when={"batch_size": one_of(32)}),
    ),
)
POINT: Point = {
    "learning_rate": 1e-3,
    "rand_magnitude": 10,
    "dropout": 0.2,
    "batch_size": 32,
    "focal_gamma": 2.0,
}


def test_values_are_multiplied_by_four_or_six_fifths_within_the_range() -> None:
    seen: dict[str, set[Any]] = {name: set() for name in POINT}
    for number in range(40):
        for name, value in explorer(MIXED, resample=0.0).explored(POINT, number, {}).items():
            seen[name].add(value)
    assert seen["learning_rate"] == {8e-4, 1.2e-3}
    assert seen["rand_magnitude"] == {8, 12}
    assert seen["dropout"] == {0.2 * 0.8, 0.2 * 1.2}
    assert seen["batch_size"] == {32}
    assert seen["focal_gamma"] == {1.6, 2.4}
    at_the_end = {**POINT, "learning_rate": 1e-2, "rand_magnitude": 1}
    moved = [explorer(MIXED, resample=0.0).explored(at_the_end, number, {}) for number in range(40)]
    assert {point["learning_rate"] for point in moved} == {8e-3, 1e-2}
    assert {point["rand_magnitude"] for point in moved} == {0, 2}, "a whole number moves by one at least"


def test_values_drawn_anew_come_from_all_of_the_range() -> None:
    space = SearchSpace(name="m", about="", dimensions=MIXED.dimensions[:2])
    rates = [
        explorer(space, resample=1.0).explored(POINT, number, {})["learning_rate"] for number in range(200)
    ]
    assert min(rates) < 2e-4
    assert max(rates) > 5e-3


def test_what_contradicts_another_value_stays() -> None:
    space = SearchSpace(
        name="twice",
        about="",
        dimensions=(
            Float(name="sampler_power", low=0.0, high=1.0),
            Float(name="class_weight_power", low=0.0, high=1.0),
        ),
    )
    moved = [
        explorer(space, resample=0.0).explored({"sampler_power": 0.5, "class_weight_power": 0.5}, number, {})
        for number in range(40)
    ]
    assert {point["class_weight_power"] for point in moved} == {0.4, 0.5}


def test_pinned_values_hold_where_they_may() -> None:
    pins = {"learning_rate": 5e-3, "batch_size": 64, "dropout": 0.9}
    explored = explorer(MIXED).explored(POINT, 1, pins)
    assert (explored["learning_rate"], explored["batch_size"]) == (5e-3, 32)
    assert explored["dropout"] != 0.9, "which lies outside its range"


def test_a_person_is_told_what_copies_change_and_what_they_keep() -> None:
    spec = StudySpec.parse({**MINIMAL, "budget": {"trials": 8, "epochs": EPOCHS}})
    first, second = population_remarks(spec, find_space("digits"), MANIFEST)
    assert first.startswith(
        "pbt: the 8 trials are one population; at every 20% of the epochs all wait for the last"
    )
    assert (
        "other values of learning_rate, weight_decay, label_smoothing, augmentation_strength, dropout"
        in first
    )
    assert second == "copies keep optimizer, batch_size"
    assert (
        population_remarks(
            StudySpec.parse({"study": "s", "dataset": "table"}), find_space("digits"), MANIFEST
        )
        == ()
    )


def test_a_space_of_nothing_that_may_change_is_refused() -> None:
    space = SearchSpace(name="choices", about="", dimensions=(Choice(name="batch_size", options=(32, 64)),))
    with pytest.raises(
        SpecError, match="search space 'choices' has none that may change then; leave learning_rate"
    ):
        population_remarks(StudySpec.parse(MINIMAL), space, MANIFEST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"objective": [{"metric": "kappa"}, {"metric": "latency_ms"}]},
            "pbt copies the best by one objective, got 2; keep one",
        ),
        ({"sampler": "grid"}, "sampler 'grid' can do nothing there: use quasi_random, random or tpe"),
        ({"sampler": "gp"}, "draws its whole population before a trial has ended"),
        (
            {"budget": {"trials": 3}},
            "replaces 0.25 of budget.trials, which is less than one of 3; raise budget.trials or",
        ),
        (
            {"budget": {"trials": 4}, "early_stopping": {"rule": "pbt", "protect_top": 4}},
            "protect_top 4 of 4 trials leaves none",
        ),
        ({"budget": {"epochs": 1}}, "interval 0.2 of 1 epochs ends with the last one"),
        (
            {"budget": {"epochs": 5}, "early_stopping": {"rule": "pbt", "interval": 0.9}},
            "interval 0.9 of 5 epochs ends with the last one",
        ),
        ({"budget": {"no_improvement": 5}}, "under early_stopping pbt all end together; drop it"),
        ({"budget": {"minimum_gain": 0.1}}, "early_stopping pbt draws none after its population; drop it"),
        (
            {"early_stopping": {"rule": "pbt", "quantile": 0.6}},
            "early_stopping.quantile must be at most 0.5, got 0.6",
        ),
        (
            {"early_stopping": {"rule": "pbt", "interval": 1}},
            "early_stopping.interval must be below 1, got 1",
        ),
        ({"confirm": {"top": 2}}, "confirm cannot follow early_stopping 'pbt'"),
    ],
)
def test_what_a_population_makes_no_sense_with_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        StudySpec.parse({**MINIMAL, **change})


@pytest.mark.parametrize(
    ("ran", "rule", "message"),
    [("pbt", "asha", "ran under pbt, whose trials go on"), ("asha", "pbt", "pbt cannot be")],
)
def test_a_population_cannot_be_replayed(tmp_path: Path, ran: str, rule: str, message: str) -> None:
    spec = StudySpec.parse({**MINIMAL, "early_stopping": ran})
    folder = Home(tmp_path).studies / "s"
    folder.mkdir(parents=True)
    StudyRecord.create(folder, "s", objectives=spec.objectives)
    write_yaml(folder / "study.yaml", spec.to_dict())
    with pytest.raises(SpecError, match=message):
        replay_named(Home(tmp_path), "s", rule=rule)
