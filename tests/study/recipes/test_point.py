"""From a point to a recipe: every dimension arrives, and what no training can follow is refused."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import UnknownNameError
from search_spaces.named import find_space
from search_spaces.space import SearchSpace
from study.home import Home
from study.recipes.point import build_recipe
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError
from trainables.recipe.tree import Recipe


@pytest.fixture(scope="session")
def manifest(digits_home: Home) -> Manifest:
    return Manifest.read(digits_home.datasets / "digits")


@given(
    st.sampled_from([find_space(name) for name in ("digits", "from_scratch", "fine_tuning", "everything")]),
    st.integers(0, 5000),
)
def test_every_point_of_a_named_space_makes_a_recipe_that_survives_writing(
    manifest: Manifest, space: SearchSpace, seed: int
) -> None:
    source = random.Random(seed)
    point = space.build_point(
        lambda d: source.choice(d.options) if hasattr(d, "options") else source.choice([d.low, d.high])
    )
    recipe = build_recipe(point, dataset=manifest, epochs=7, seed=seed)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert recipe.num_epochs == 7
    assert recipe.optimizer.kind == point["optimizer"]
    assert point["learning_rate"] in [phase.learning_rate for phase in recipe.phases]
    if point.get("fine_tuning") in ("suffix", "range"):
        assert recipe.phases[-1].freeze_depth == point["freeze_depth"]


def test_lp_ft_trains_the_head_alone_first(manifest: Manifest) -> None:
    point = {
        "architecture": "resnet18",
        "image_size": 32,
        "fine_tuning": "lp_ft",
        "probe_fraction": 0.25,
        "probe_multiplier": 10.0,
    }
    first, second = build_recipe(point, dataset=manifest, epochs=8, seed=0).phases
    assert (first.epochs, first.freeze_depth, first.learning_rate) == (2, 4, pytest.approx(1e-2))
    assert (second.epochs, second.freeze_depth, second.learning_rate) == (6, 0, 1e-3)


@pytest.mark.parametrize(
    ("epochs", "fraction", "expected"), [(2, 0.05, [1, 1]), (2, 0.9, [1, 1]), (1, 0.4, [1])]
)
def test_neither_phase_of_lp_ft_is_empty(
    manifest: Manifest, epochs: int, fraction: float, expected: list[int]
) -> None:
    point = {"architecture": "resnet18", "fine_tuning": "lp_ft", "probe_fraction": fraction}
    assert [
        phase.epochs for phase in build_recipe(point, dataset=manifest, epochs=epochs, seed=0).phases
    ] == expected


def test_small_images_are_enlarged_to_what_the_network_needs(manifest: Manifest) -> None:
    assert (
        build_recipe({"architecture": "cnn2-32x64"}, dataset=manifest, epochs=1, seed=0).data.image_size == 8
    )
    assert (
        build_recipe({"architecture": "cnn4-32x256"}, dataset=manifest, epochs=1, seed=0).data.image_size
        == 16
    )


def test_unknown_dimensions_and_impossible_values(manifest: Manifest) -> None:
    with pytest.raises(UnknownNameError, match="unknown dimension 'lr'"):
        build_recipe({"lr": 0.1}, dataset=manifest, epochs=1, seed=0)
    with pytest.raises(
        RecipeError,
        match="fine_tuning must be one of full, suffix, range, lp_ft, gradual, layer_decay, got 'both'",
    ):
        build_recipe({"fine_tuning": "both"}, dataset=manifest, epochs=1, seed=0)
    with pytest.raises(
        RecipeError, match="averaging True and average_halflife go together, got averaging True without"
    ):
        build_recipe({"averaging": True}, dataset=manifest, epochs=1, seed=0)
    with pytest.raises(RecipeError, match=r"dropout must lie in \[0, 0.95\], got 2"):
        build_recipe({"dropout": 2.0}, dataset=manifest, epochs=1, seed=0)
