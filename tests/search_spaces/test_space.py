"""Spaces: conditions hold in every point, and fixing, narrowing and extending keep their promises."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.dimensions import Choice, Dimension, Float, Int, Value, one_of
from search_spaces.errors import SpaceError, UnknownNameError
from search_spaces.named import find_recipe, find_space, named_recipes, named_spaces
from search_spaces.space import Point, SearchSpace

SPACES = tuple(named_spaces().values())


def draw(space: SearchSpace, seed: int) -> Point:
    source = random.Random(seed)

    def choose(dimension: Dimension) -> Value:
        match dimension:
            case Choice():
                return source.choice(dimension.options)
            case Int():
                return source.randint(dimension.low, dimension.high)
            case Float():
                return source.uniform(dimension.low, dimension.high)

    return space.build_point(choose)


@given(st.sampled_from(SPACES), st.integers(0, 10_000))
def test_every_point_that_is_built_passes_the_check(space: SearchSpace, seed: int) -> None:
    space.check(draw(space, seed))


@given(st.integers(0, 10_000))
def test_freeze_depth_exists_only_where_pretrained_weights_are_frozen(seed: int) -> None:
    point = draw(find_space("fine_tuning"), seed)
    assert ("freeze_depth" in point) == (
        point["weights"] != "none" and point["fine_tuning"] in ("suffix", "range")
    )
    assert ("momentum" in point) == (point["optimizer"] == "sgd")


@given(st.integers(0, 10_000))
def test_the_range_of_learning_rates_follows_the_optimizer(seed: int) -> None:
    point = draw(find_space("from_scratch"), seed)
    low, high = (1e-3, 1.0) if point["optimizer"] == "sgd" else (1e-4, 1e-2)
    assert low <= point["learning_rate"] <= high  # type: ignore[operator]


def test_a_point_with_a_dimension_that_does_not_exist_there_is_refused() -> None:
    space = find_space("fine_tuning")
    point = draw(space.fix({"weights": "none"}), 0)
    with pytest.raises(
        SpaceError,
        match=(
            "freeze_depth = 2 does not apply here: it exists only when weights is not none and fine_tuning "
            "is suffix"
        ),
    ):
        space.check({**point, "freeze_depth": 2})


def test_a_point_that_lacks_a_dimension_is_refused() -> None:
    space = find_space("digits")
    point = draw(space, 0)
    del point["dropout"]
    with pytest.raises(SpaceError, match="the point lacks 'dropout'"):
        space.check(point)


def test_fixing_the_optimizer_leaves_one_range_of_learning_rates() -> None:
    space = find_space("fine_tuning").fix({"optimizer": "adamw", "weights": "imagenet"})
    (only,) = space.variants("learning_rate")
    assert isinstance(only, Float)
    assert (only.low, only.high) == (1e-6, 3e-3)
    assert "momentum" not in space.names


def test_fixing_a_name_that_the_space_lacks_adds_a_constant() -> None:
    assert draw(find_space("digits").fix({"image_size": 16}), 0)["image_size"] == 16


def test_pretrained_dimensions_exist_for_a_path_of_weights_too() -> None:
    assert "fine_tuning" in draw(find_space("fine_tuning").fix({"weights": "/some/file.pth"}), 0)


def test_narrowing_keeps_the_overlap() -> None:
    space = (
        find_space("fine_tuning")
        .fix({"optimizer": "adamw", "weights": "imagenet"})
        .narrow({"learning_rate": [1e-4, 1.0], "batch_size": [32, 64]})
    )
    (rate,), (batch,) = space.variants("learning_rate"), space.variants("batch_size")
    assert isinstance(rate, Float)
    assert isinstance(batch, Choice)
    assert (rate.low, rate.high) == (1e-4, 3e-3)
    assert batch.options == (32, 64)


def test_narrowing_the_optimizer_and_its_learning_rate_at_once() -> None:
    space = find_space("fine_tuning").narrow(
        {"learning_rate": [1e-5, 5e-5], "optimizer": ["adamw"], "weights": ["imagenet"]}
    )
    assert len(space.variants("learning_rate")) == 1


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"learning_rat": [0, 1]}, "unknown dimension 'learning_rat'.*did you mean 'learning_rate'"),
        ({"dropout": [0.9, 0.95]}, r"leaves nothing of \[0, 0.6\]"),
        ({"dropout": [0.5, 0.1]}, "needs low <= high"),
        ({"dropout": 0.5}, "to set one value use fix"),
        ({"batch_size": [7]}, "leaves nothing of 32, 64, 128"),
    ],
)
def test_impossible_narrowing_is_refused(ranges: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        find_space("digits").narrow(ranges)


def test_extending_replaces_all_dimensions_of_a_name() -> None:
    space = find_space("from_scratch").extend((Float(name="learning_rate", low=1e-6, high=1.0, log=True),))
    assert len(space.variants("learning_rate")) == 1


def test_a_condition_must_look_back() -> None:
    with pytest.raises(SpaceError, match="'x' depends on 'y', which must stand before it"):
        SearchSpace(
            name="s",
            about="",
            dimensions=(Int(name="x", low=0, high=1, when={"y": one_of(1)}), Int(name="y", low=0, high=1)),
        )


def test_two_dimensions_of_a_name_must_exclude_each_other() -> None:
    with pytest.raises(SpaceError, match="'x' stands twice"):
        SearchSpace(
            name="s", about="", dimensions=(Int(name="x", low=0, high=1), Int(name="x", low=2, high=3))
        )


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_each_dimension_has_a_key_of_its_own(space: SearchSpace) -> None:
    keys = [space.key(dimension) for dimension in space.dimensions]
    assert len(set(keys)) == len(keys)


def test_unknown_names_come_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"^unknown search space 'fine-tuning'; did you mean 'fine_tuning'\?$"
    ):
        find_space("fine-tuning")
    with pytest.raises(UnknownNameError, match="unknown recipe"):
        find_recipe("fer-r18-freeze-l9")
    with pytest.raises(UnknownNameError, match="unknown search space 'qqq'; known: digits, everything"):
        find_space("qqq")


def test_named_recipes_state_and_choose_different_things() -> None:
    for recipe in named_recipes().values():
        assert not set(recipe.stated) & set(recipe.chosen), recipe.name
