"""Exploring: the values under which a trial goes on from another's checkpoint (arXiv 1711.09846)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.dimensions import Choice, Dimension, Float, Int, Value
from search_spaces.space import Point, SearchSpace, exists
from study.errors import SpecError
from study.recipes.point import build_recipe
from study.search.sampling.coordinates import random_point, value_at
from study.stopping.early_stopping import rules_other_than
from study.study_file.study_spec import StudySpec
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError
from trainables.recipe.continuation import lasting
from trainables.recipe.tree import Recipe

FACTORS = (0.8, 1.2)
NUM_TRIED = 30
"""Random points of a space that show which of its dimensions may change."""


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """Changes points in what may change while a training goes on, which `trainables.recipe.continuation`
    says.

    Choices stay, and so do numbers on which the existence of others depends.
    """

    space: SearchSpace
    manifest: Manifest
    epochs: int
    seed: int
    resample: float
    """Chance that a value is drawn anew from all of its range."""

    def explored(self, point: Point, number: int, pins: Mapping[str, Value]) -> Point:
        """The values of trial `number`, which goes on from one with `point`: each by itself multiplied by 0.8
        or 1.2, or drawn anew.

        It follows from the seed, the number and the point; `pins` hold where they may. A value that would
        contradict another stays.
        """
        source = np.random.default_rng((self.seed, number))
        explored = dict(point)
        for dimension in self._movable(point):
            drawn = value_at(dimension, float(source.random()))
            moved = _moved(dimension, point[dimension.name], FACTORS[int(source.integers(len(FACTORS)))])
            value = drawn if source.random() < self.resample else moved
            pin = pins.get(dimension.name)
            changed = {**explored, dimension.name: value if pin is None or not dimension.holds(pin) else pin}
            if self._may_follow(changed, explored):
                explored = changed
        return explored

    def names(self) -> tuple[str, ...]:
        """The dimensions of the space that may change."""
        found = set()
        for point in (random_point(self.space, (0, attempt)) for attempt in range(NUM_TRIED)):
            for dimension in self._movable(point):
                if any(
                    self._may_follow({**point, dimension.name: end}, point)
                    for end in (dimension.low, dimension.high)
                ):
                    found.add(dimension.name)
        return tuple(name for name in self.space.names if name in found)

    def _movable(self, point: Point) -> list[Float | Int]:
        conditional = {name for dimension in self.space.dimensions for name in dimension.when}
        free = [
            dimension
            for dimension in self.space.dimensions
            if dimension.name not in conditional and exists(dimension, point)
        ]
        return [dimension for dimension in free if not isinstance(dimension, Choice)]

    def _may_follow(self, point: Point, before: Point) -> bool:
        """Whether a training under `before` can go on under `point`, and would be another one."""
        try:
            recipe, recipe_before = self._recipe(point), self._recipe(before)
        except RecipeError:
            return False
        return recipe != recipe_before and lasting(recipe) == lasting(recipe_before)

    def _recipe(self, point: Point) -> Recipe:
        return build_recipe(point, dataset=self.manifest, epochs=self.epochs, seed=0)


def population_remarks(spec: StudySpec, space: SearchSpace, manifest: Manifest) -> tuple[str, ...]:
    """What a person should know of how a population will go.

    Raises SpecError where nothing of the space could change.
    """
    stopping = spec.early_stopping
    if stopping.rule != "pbt":
        return ()
    explorer = Explorer(
        space=space, manifest=manifest, epochs=spec.budget.epochs, seed=spec.seed, resample=stopping.resample
    )
    if not (names := explorer.names()):
        raise SpecError(
            f"early_stopping pbt changes numbers while a training goes on, and search space {space.name!r} "
            "has none that may change then; "
            f"leave learning_rate or another such dimension free, or choose {rules_other_than('pbt')}"
        )
    stays = [
        name
        for name in space.names
        if name not in names and any(not _is_held(one) for one in space.variants(name))
    ]
    return (
        f"pbt: the {spec.budget.trials} trials are one population; at every {stopping.interval:.0%} of the "
        "epochs all wait for the last, "
        f"and copies of the best take the places of the worst {stopping.quantile:.0%}, with other values of "
        f"{', '.join(names)}",
        *([f"copies keep {', '.join(stays)}"] if stays else []),
    )


def _moved(dimension: Float | Int, value: Value, factor: float) -> Value:
    number = float(value) * factor
    if isinstance(dimension, Float):
        return min(max(number, dimension.low), dimension.high)
    step = 1 if factor > 1 else -1
    whole = round(number) if round(number) != value else int(value) + step
    return min(max(whole, dimension.low), dimension.high)


def _is_held(dimension: Dimension) -> bool:
    return len(dimension.options) == 1 if isinstance(dimension, Choice) else dimension.low == dimension.high
