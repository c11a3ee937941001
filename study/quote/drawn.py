"""Configurations that a study may try, drawn evenly from its space: what a quote is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from search_spaces.space import Point
from study.planning.plan import Plan
from study.search.sampling.coordinates import random_point
from study.search.sampling.enumeration import num_points, on_grid
from trainables.errors import RecipeError
from trainables.recipe.tree import Recipe

NUM_DRAWN = 96
_NUM_TRIED = 300


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One configuration."""

    point: Point
    recipe: Recipe


class Shape(NamedTuple):
    """What decides how long a step takes, besides its images."""

    architecture: str
    image_size: int
    """Pixels."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Shape":
        """That of a recipe."""
        return cls(recipe.model.architecture, recipe.data.image_size)


def drawn_of(plan: Plan) -> tuple[Drawn, ...]:
    """The start points, then points of the space that follow from nothing but the space; those that no
    training can follow are left out. At least one.
    """
    points = [
        *(start.point for start in plan.starts),
        *(random_point(plan.space, (0, index)) for index in range(_NUM_TRIED)),
    ]
    kept = tuple(islice((one for point in points if (one := _built(plan, point)) is not None), NUM_DRAWN))
    return kept or tuple(Drawn(point={}, recipe=recipe) for recipe in plan.corner_recipes[:1])


def num_trials(plan: Plan) -> int:
    """How many trials the study has: fewer than its budget where its space is smaller."""
    spec = plan.spec
    is_grid = spec.sampler.rule == "grid"
    count = num_points(on_grid(plan.space, spec.sampler.grid_points) if is_grid else plan.space)
    return int(count) if 1 < count < spec.budget.trials else spec.budget.trials


def shapes_of(drawn: Sequence[Drawn]) -> dict[Shape, list[Recipe]]:
    """The recipes by shape, the smallest batch of each shape first."""
    found: dict[Shape, list[Recipe]] = {}
    for one in drawn:
        found.setdefault(Shape.of(one.recipe), []).append(one.recipe)
    return {shape: sorted(recipes, key=lambda recipe: recipe.batch_size) for shape, recipes in found.items()}


def _built(plan: Plan, point: Point) -> Drawn | None:
    try:
        return Drawn(point=point, recipe=plan.recipe(point))
    except RecipeError:
        return None
