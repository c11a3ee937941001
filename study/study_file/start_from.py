"""`start_from` in a study file: named recipes, points, and the best trials of earlier studies."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from search_spaces.dimensions import Value
from study.errors import SpecError
from study.written import Scalar, Written, with_lists
from trainables.printable import quoted

KEY = "best"
"""The key by which such a mapping differs from a point: no dimension has this name."""


class EarlierBest(Written):
    """The best configurations of earlier studies: of the most similar dataset first, and of one dataset the
    best first.
    """

    best: int = Field(ge=1, le=100, examples=[3])
    """How many configurations."""
    of: tuple[str, ...] = Field((), examples=[["fashion3"]])
    """Only studies on datasets of these names; studies on any dataset where none is named."""
    studies: tuple[str, ...] = Field((), examples=[["fashion3-sweep"]])
    """Only studies of these names."""

    def __str__(self) -> str:
        named = (("of", self.of), ("of the studies", self.studies))
        return f"best {self.best}" + "".join(f" {word} {', '.join(names)}" for word, names in named if names)


_POINT: TypeAdapter[dict[str, Value]] = TypeAdapter(dict[str, Scalar])


def _read(item: Any) -> Any:
    if isinstance(item, str | EarlierBest):
        return item
    if not isinstance(item, Mapping) or KEY not in item:
        return _point(item)
    tree = {
        name: (value,) if name in ("of", "studies") and isinstance(value, str) else value
        for name, value in item.items()
    }
    try:
        return EarlierBest.model_validate(tree)
    except ValidationError:
        raise SpecError(
            "start_from takes the best of earlier studies as {best: 3}, from 1 to 100, optionally with "
            "of: DATASET and "
            f"studies: [NAME, ...], got {quoted(with_lists(dict(item)))}"
        ) from None


def _point(item: Any) -> dict[str, Value]:
    try:
        return _POINT.validate_python(item)
    except ValidationError:
        raise SpecError(
            "start_from takes names of recipes, points such as {learning_rate: 0.001} of texts and finite "
            f"numbers, and {{best: 3}}; got {quoted(with_lists(item))}"
        ) from None


Start = Annotated[
    str | EarlierBest | dict[str, Scalar],
    PlainValidator(_read),
    PlainSerializer(lambda item: item.model_dump() if isinstance(item, EarlierBest) else item),
]
"""A named recipe, the best of earlier studies, or a point."""
