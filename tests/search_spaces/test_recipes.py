"""The named recipes: complete, told apart from what we chose, and of use as the start of a study."""

import pytest

from search_spaces.named import find_space, named_recipes
from search_spaces.named_recipe import NamedRecipe
from study.point import check_names
from study.start_points import start_points
from trainables.metrics import METRICS

RECIPES = [pytest.param(recipe, id=name) for name, recipe in named_recipes().items()]
SOURCES = ("000", "001", "002", "003", "004")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_of_each_value_whether_it_is_stated(recipe: NamedRecipe) -> None:
    assert not set(recipe.stated) & set(recipe.chosen)
    assert all(chosen.why for chosen in recipe.chosen.values())
    check_names(recipe.point)
    assert recipe.result is None or recipe.result.metric in METRICS
    assert recipe.dataset.add.startswith(f"study data add {recipe.dataset.name} --from FOLDER")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_can_be_the_start_of_a_study(recipe: NamedRecipe) -> None:
    space = find_space("fine_tuning" if recipe.point["weights"] != "none" else "from_scratch")
    (start,) = start_points([recipe.name], space, {})
    assert {name: start.point[name] for name in recipe.point} == recipe.point


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_system_has_recipes_with_its_stated_results(source: str) -> None:
    mine = [recipe for recipe in named_recipes().values() if f"source system {source}" in recipe.source]
    assert any(recipe.result is not None for recipe in mine)


def test_what_cannot_be_rebuilt_is_said() -> None:
    recipes = named_recipes()
    assert "no split of FER2013" in str(recipes["fer-cnn4-32x256"].not_rebuilt)
    assert "another order" in str(recipes["fer-xception-hybrid"].not_rebuilt)
