"""What a person writes: frozen, taken as it stands, and no key that means nothing."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator, model_validator

LARGEST = 1e30
"""No number in a study file lies farther from 0; float32 still holds it."""
LARGEST_WHOLE = 10**15
"""The same of whole numbers; a float still holds each of them."""


class Written(BaseModel):
    """A part of a study file.

    A number is a number: neither text, nor true or false, nor infinite is taken for one.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
    """The string below a field is its description: `study/REFERENCE.md` is made of them."""

    @model_validator(mode="before")
    @classmethod
    def _with_tuples(cls, tree: Any) -> Any:
        return with_tuples(tree)


def with_tuples(tree: Any) -> Any:
    """Plain values with a tuple for each list, as no list is frozen."""
    if isinstance(tree, dict):
        return {key: with_tuples(value) for key, value in tree.items()}
    return tuple(map(with_tuples, tree)) if isinstance(tree, list | tuple) else tree


def with_lists(tree: Any) -> Any:
    """Plain values with a list for each tuple, as a person writes them."""
    if isinstance(tree, dict):
        return {key: with_lists(value) for key, value in tree.items()}
    return list(map(with_lists, tree)) if isinstance(tree, list | tuple) else tree


def _scalar(value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if not isinstance(value, int | float):
        raise ValueError("must be text, a number, or true or false")
    largest = LARGEST_WHOLE if isinstance(value, int) else LARGEST
    if not math.isfinite(value) or abs(value) > largest:
        raise ValueError(f"must be a number from {-largest:g} to {largest:g}")
    return value


Scalar = Annotated[bool | int | float | str, PlainValidator(_scalar)]
"""The value of a dimension. One function reads it, so that a mistake in it is one mistake."""
