"""The named recipes: complete, told apart from what we chose, and of use as the start of a study."""

from collections import Counter

import pytest

from search_spaces.named import find_space, named_recipes
from search_spaces.named_recipe import NamedRecipe
from search_spaces.space import Point
from study.errors import SpecError
from study.recipes.point import build_recipe, check_names
from study.search.sampling.start_points import start_points
from trainables.datasets.manifest import Findings, Manifest, SplitSummary
from trainables.metrics.classification import METRICS

RECIPES = [pytest.param(recipe, id=name) for name, recipe in named_recipes().items()]
FACES = Manifest(
    name="fer2013",
    digest="0" * 64,
    classes=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    height=48,
    width=48,
    channels=1,
    pixel_mean=(0.5,),
    pixel_std=(0.2,),
    splits={
        "train": SplitSummary(num_images=28_709, num_by_class=(4000,) * 7, digest="0" * 64, origin="given")
    },
    findings=Findings(num_duplicates_within={}, num_duplicates_across={}, num_label_conflicts=0, skipped={}),
    options={},
    source="made up",
    licence=None,
    added="2026-11-21T00:00:00Z",
)
SOURCES = ("000", "001", "002", "003", "004")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_of_each_value_whether_it_is_stated(recipe: NamedRecipe) -> None:
    assert not set(recipe.stated) & set(recipe.chosen)
    assert all(chosen.why for chosen in recipe.chosen.values())
    check_names(recipe.point)
    assert recipe.result is None or recipe.result.metric in METRICS
    assert recipe.dataset.add.startswith(f"study data add {recipe.dataset.name} --from FOLDER")


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_value_has_a_reason_of_its_own(recipe: NamedRecipe) -> None:
    """One that stands for half a recipe says of no value why it is what it is."""
    counts = Counter(chosen.why for chosen in recipe.chosen.values())
    assert counts.most_common(1)[0][1] <= 4, counts.most_common(1)[0][0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_can_be_the_start_of_a_study(recipe: NamedRecipe) -> None:
    space = find_space("fine_tuning" if recipe.point["weights"] != "none" else "from_scratch")
    (start,) = start_points([recipe.name], space, {})
    assert {name: start.point[name] for name in recipe.point} == recipe.point


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_starts_a_study_of_everything_or_a_dimension_refuses_it(recipe: NamedRecipe) -> None:
    space, refused = find_space("everything"), None
    try:
        (start,) = start_points([recipe.name], space, {})
    except SpecError as error:
        refused = (
            str(error).removeprefix(f"{recipe.name} cannot be a start point of 'everything': ").split()[0]
        )
    if refused is not None:
        assert not all(dimension.holds(recipe.point[refused]) for dimension in space.variants(refused))
        return
    assert {name: start.point[name] for name in recipe.point} == recipe.point
    built, published = (
        build_recipe(point, dataset=FACES, epochs=9, seed=0) for point in (start.point, recipe.point)
    )
    assert built == published, "what the recipe leaves open trains as it would without the space"


def test_a_switch_follows_from_what_the_point_names() -> None:
    space = find_space("everything")
    weighed: Point = {"class_weight_cap": 5.0, "weights_from": 0.0}
    points: list[Point] = [
        {},
        {"average_halflife": 1.0},
        {"class_weight_power": 0.5, **weighed},
        {"effective_beta": 0.99, **weighed},
        {"sampler_power": 1.0},
    ]
    starts = start_points(points, space, {"architecture": "resnet18", "image_size": 48})
    assert [start.point["averaging"] for start in starts] == [False, True, False, False, False]
    assert [start.point["balancing"] for start in starts] == [
        "none",
        "none",
        "weights",
        "effective_number",
        "sampler",
    ]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_system_has_recipes_with_its_stated_results(source: str) -> None:
    mine = [recipe for recipe in named_recipes().values() if f"source system {source}" in recipe.source]
    assert any(recipe.result is not None for recipe in mine)


def test_what_cannot_be_rebuilt_is_said() -> None:
    recipes = named_recipes()
    assert "no split of FER2013" in str(recipes["fer-cnn4-32x256"].not_rebuilt)
    assert "another order" in str(recipes["fer-xception-hybrid"].not_rebuilt)
