"""A search space fitted to the one network that a study fixes: what it cannot do is not searched."""

from collections.abc import Mapping

from search_spaces.dimensions import Choice, Value
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from trainables.errors import RecipeError
from trainables.models.architectures.architecture import Architecture
from trainables.models.catalogue import find_architecture


def fitted(space: SearchSpace, fixed: Mapping[str, Value]) -> SearchSpace:
    """The space with the ranges that the fixed network allows; as it is where the network is not fixed.

    A range of which nothing would be left stays: the check of the space's ends says what is wrong with it.
    """
    architecture = _only_architecture(space, fixed)
    if architecture is None:
        return space
    for name, range_ in _ranges(space, architecture).items():
        if name in fixed or name not in space.names:
            continue
        try:
            space = space.narrow({name: range_})
        except SpaceError:
            continue
    return space


def _only_architecture(space: SearchSpace, fixed: Mapping[str, Value]) -> Architecture | None:
    options = [
        option
        for dimension in space.dimensions
        if dimension.name == "architecture" and isinstance(dimension, Choice)
        for option in dimension.options
    ]
    names = [fixed["architecture"]] if "architecture" in fixed else options
    try:
        return find_architecture(str(names[0])) if len(names) == 1 else None
    except RecipeError:
        return None  # told where recipes are checked


def _ranges(space: SearchSpace, architecture: Architecture) -> dict[str, object]:
    """What the network allows of each dimension."""
    ranges: dict[str, object] = {
        "freeze_depth": [0, architecture.num_stages],
        "range_end": [1, architecture.num_stages],
    }
    if architecture.takes_drop_path is False:
        ranges["drop_path"] = [0, 0]
    if architecture.is_plain:
        ranges |= {"head": ["linear"], "gray_adapter": ["sum"]}
    if architecture.has_imagenet_weights is False:
        ranges["weights"] = _other_options(space, "weights", "imagenet")
    smallest = architecture.smallest_image_size
    if smallest is not None:
        ranges["image_size"] = [size for size in _options(space, "image_size") if float(size) >= smallest]
    return ranges


def _options(space: SearchSpace, name: str) -> list[Value]:
    return [
        option
        for dimension in space.dimensions
        if dimension.name == name and isinstance(dimension, Choice)
        for option in dimension.options
    ]


def _other_options(space: SearchSpace, name: str, left_out: Value) -> list[Value]:
    return [option for option in _options(space, name) if option != left_out]
