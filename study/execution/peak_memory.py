"""Which configurations of a study decide how much memory its trials take: of each architecture the one with
the largest batches.
"""

import math
import random
from collections.abc import Iterable

from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.space import Point, SearchSpace
from study.planning.plan import Plan
from study.recipes.point import DEFAULTS, build_recipe
from trainables.models.catalogue import find_architecture
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

MOST_ARCHITECTURES = 12
NUM_DRAWN = 24
"""Configurations of each architecture that are looked at; they differ in what little else memory depends
on."""
_LARGEST = ("image_size", "batch_size", "crop_margin", "head_units")
_HEADS = ("linear", "mlp", "hybrid")


def heaviest_recipes(plan: Plan) -> tuple[Recipe, ...]:
    """The heaviest configuration of each architecture, the costliest first.

    Memory grows with images and batches, so the smaller ones need no look. Of more than 12 architectures the
    12 that compute most, those of which that is not known before they are built first of all.
    """
    points = [*_large_points(plan.space), *(start.point for start in plan.starts)]
    recipes = [
        build_recipe(point, dataset=plan.manifest, epochs=plan.spec.budget.epochs, seed=0) for point in points
    ]
    heaviest: dict[str, Recipe] = {}
    for recipe in sorted(recipes, key=_weight):
        heaviest[recipe.model.architecture] = recipe
    return tuple(
        sorted(heaviest.values(), key=lambda recipe: _cost(recipe, plan.manifest.channels), reverse=True)[
            :MOST_ARCHITECTURES
        ]
    )


def num_architectures(space: SearchSpace) -> int:
    """How many a study can draw."""
    return len(_architectures(space))


def heaviest_phase(recipe: Recipe) -> Phase:
    """The phase of a recipe that trains most of its network, and so keeps most of what its forward pass
    computes.
    """
    num_stages = find_architecture(recipe.model.architecture).num_stages
    return max(recipe.phases, key=lambda phase: _trained_share(phase, num_stages))


def configuration_text(recipe: Recipe) -> str:
    """What a person reads of a configuration: resnet50 at 224 px with batch 128."""
    return f"{recipe.model.architecture} at {recipe.data.image_size} px with batch {recipe.batch_size}"


def _large_points(space: SearchSpace) -> list[Point]:
    draw = random.Random(0)
    return [
        space.build_point(lambda dimension, architecture=architecture: _chosen(dimension, architecture, draw))  # type: ignore[misc]
        for architecture in _architectures(space)
        for _ in range(NUM_DRAWN)
    ]


def _architectures(space: SearchSpace) -> tuple[Value, ...]:
    if "architecture" not in space.names:
        return (DEFAULTS["architecture"],)
    variants = space.variants("architecture")
    return tuple(
        dict.fromkeys(option for one in variants if isinstance(one, Choice) for option in one.options)
    )


def _chosen(dimension: Dimension, architecture: Value, draw: random.Random) -> Value:
    options = dimension.options if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    if dimension.name == "architecture" and architecture in options:
        return architecture
    if dimension.name in _LARGEST and not any(isinstance(option, str) for option in options):
        return _largest(options)
    return draw.choice(options)


def _largest(options: Iterable[Value]) -> Value:
    return max(options, key=float)


def _weight(recipe: Recipe) -> tuple[float, ...]:
    num_stages = find_architecture(recipe.model.architecture).num_stages
    return (
        (recipe.data.image_size + recipe.data.crop_margin) ** 2 * recipe.batch_size,
        _trained_share(heaviest_phase(recipe), num_stages),
        recipe.optimizer.average_halflife is not None,
        _HEADS.index(recipe.model.head.kind),
        recipe.optimizer.kind != "sgd",  # a second moment of each weight
    )


def _trained_share(phase: Phase, num_stages: int) -> float:
    return (
        1 - phase.freeze_depth / max(num_stages, 1)
        if phase.trainable_share is None
        else phase.trainable_share
    )


def _cost(recipe: Recipe, channels: int) -> float:
    multiply_adds = find_architecture(recipe.model.architecture).multiply_adds(
        recipe.data.image_size, channels
    )
    return math.inf if multiply_adds is None else multiply_adds * recipe.batch_size
