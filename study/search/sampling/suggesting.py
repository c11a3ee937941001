"""The next configuration of a study: what its sampler proposes, unless it was tried before."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import islice

import numpy as np

from search_spaces.dimensions import Choice, Dimension, Float, Value
from search_spaces.space import SearchSpace
from study.search.sampling.coordinates import random_point, sobol_point
from study.search.sampling.enumeration import Identity, identity, num_points, on_grid, options_of, walk
from study.search.sampling.samplers import History, Suggestion, suggest_point
from study.study_file.sampler import Sampler

NUM_REDRAWS = 10
"""Further draws of a sampler, each with another seed, when it proposes a configuration that was tried."""
NUM_RANDOM_DRAWS = 50
"""Points drawn at random after that."""


def draw(
    space: SearchSpace,
    sampler: Sampler,
    seed: int,
    number: int,
    tried: Set[Identity],
    look: Callable[[], History],
) -> Suggestion | None:
    """A configuration for trial `number` that is not among those `tried`; None where the space has no other.

    It follows from the seed, the number and the history that `look` gives alone. A space of a single point is
    not searched but repeated, and gives its point each time.
    """
    if sampler.rule == "grid":
        space = on_grid(space, sampler.grid_points)
    for suggestion in _suggestions(space, sampler, seed, number, look):
        if identity(suggestion.point) not in tried:
            return suggestion
    if num_points(space) == 1:
        return suggestion
    for point in islice(
        walk(space, _options(seed, number)), len(tried) + 1
    ):  # so many cannot all have been tried
        if identity(point) not in tried:
            return Suggestion(
                point=point, trial_notes=suggestion.trial_notes, study_notes=suggestion.study_notes
            )
    return None


def held(space: SearchSpace, values: Mapping[str, Value]) -> SearchSpace:
    """The space with dimensions held at a value. Each stays of its kind, so that samplers still know it.

    A dimension that cannot have its value stays as it is.
    """
    return (
        dataclasses.replace(
            space, dimensions=tuple(_held(dimension, values) for dimension in space.dimensions)
        )
        if values
        else space
    )


def is_exhausted(space: SearchSpace, sampler: Sampler, tried: Set[Identity]) -> bool:
    """Whether every configuration that the sampler can draw was tried; never where there is only one, which
    is repeated.
    """
    if sampler.rule == "grid":
        space = on_grid(space, sampler.grid_points)
    if not 1 < num_points(space) <= len(tried):
        return False
    return all(
        identity(point) in tried for point in walk(space, lambda dimension: options_of(dimension) or ())
    )


def _held(dimension: Dimension, values: Mapping[str, Value]) -> Dimension:
    value = values.get(dimension.name)
    if value is None or not dimension.holds(value):
        return dimension
    return dimension.narrowed([value] if isinstance(dimension, Choice) else [value, value])


def _suggestions(
    space: SearchSpace, sampler: Sampler, seed: int, number: int, look: Callable[[], History]
) -> Iterator[Suggestion]:
    """What the sampler proposes, again and again with another seed; then what chance does."""
    first = None
    history = look() if sampler.abilities.learns else None
    for attempt in range(NUM_REDRAWS):
        if history is not None:
            suggestion = suggest_point(space, sampler.rule, _mixed(seed, number, attempt), history)
        elif sampler.rule == "quasi_random":
            point = sobol_point(space, seed if attempt == 0 else _mixed(seed, attempt), number)
            suggestion = Suggestion(point=point, trial_notes={}, study_notes={})
        else:
            break
        first = first or suggestion
        yield suggestion
    for attempt in range(NUM_RANDOM_DRAWS):
        point = random_point(space, (seed, number, attempt))
        # The sampler's notes (of its generation, say) stay with the trial, so that it learns from this point,
        # too.
        yield Suggestion(
            point=point,
            trial_notes=first.trial_notes if first else {},
            study_notes=first.study_notes if first else {},
        )


def _options(seed: int, number: int) -> Callable[[Dimension], "tuple[Value, ...] | range"]:
    """All values of a dimension, or one drawn at random of those that cannot be counted."""
    source = np.random.default_rng((seed, number))

    def options(dimension: Dimension) -> "tuple[Value, ...] | range":
        found = options_of(dimension)
        if found is not None:
            return found
        assert isinstance(dimension, Float)
        return (dimension.low + float(source.random()) * (dimension.high - dimension.low),)

    return options


def _mixed(*numbers: int) -> int:
    """A seed that follows from all the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
