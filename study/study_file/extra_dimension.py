"""A dimension written in a study file."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError

from search_spaces.dimensions import Choice, Condition, Dimension, Float, Int, Value, none_of, one_of
from study.errors import SpecError
from study.written import LARGEST, LARGEST_WHOLE, Scalar, Written

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Whole = Annotated[int, Field(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
_SCALARS: TypeAdapter[tuple[Value, ...]] = TypeAdapter(tuple[Scalar, ...])


def _read_condition(written: Any) -> Any:
    """A value, several, or `{not: …}` of them, as they are."""
    is_negated = isinstance(written, dict) and list(written) == ["not"]
    values = written["not"] if is_negated else written
    try:
        _SCALARS.validate_python(values if isinstance(values, tuple) else (values,))
    except ValidationError:
        raise ValueError("must be a value, a list of values, or {not: VALUE}") from None
    return written


Wanted = Annotated[Any, PlainValidator(_read_condition)]
"""The value or values that a dimension must have for another to exist."""


class ExtraDimension(Written):
    """A dimension written in a study file: exactly one of `float`, `int`, `choice`."""

    float_: tuple[Number, Number] | None = Field(None, alias="float", examples=[[0.0001, 0.05]])
    """Lowest and highest value of a real number, both included."""
    int_: tuple[Whole, Whole] | None = Field(None, alias="int", examples=[[1, 4]])
    """Lowest and highest value of a whole number, both included."""
    choice: tuple[Scalar, ...] | None = Field(None, examples=[[2, 5, 10]])
    """The values to choose from: texts, numbers, `true` and `false`."""
    log: bool = False
    """Whether values are drawn evenly in their logarithm; for `float` and `int`, with a lowest value
    above 0."""
    unit: str | None = Field(None, examples=["px"])
    """The unit that tables show."""
    when: dict[str, Wanted] = Field(
        default_factory=dict, examples=[{"optimizer": "sgd", "weights": {"not": "none"}}]
    )
    """Conditions under which the dimension exists: other dimensions, each with the value, or the list of
    values, that it must have; with `{not: VALUE}` it must have another."""

    def dimension(self, name: str) -> Dimension:
        """The dimension it describes. Raises SpecError or SpaceError if it contradicts itself."""
        given = [
            kind
            for kind, value in (("float", self.float_), ("int", self.int_), ("choice", self.choice))
            if value is not None
        ]
        if len(given) != 1:
            raise SpecError(
                f"extend.{name} needs exactly one of float, int, choice; got {', '.join(given) or 'none'}"
            )
        when = {other: _condition(value) for other, value in self.when.items()}
        if self.float_ is not None:
            return Float(
                name=name, low=self.float_[0], high=self.float_[1], log=self.log, unit=self.unit, when=when
            )
        if self.int_ is not None:
            return Int(
                name=name, low=self.int_[0], high=self.int_[1], log=self.log, unit=self.unit, when=when
            )
        assert self.choice is not None
        return Choice(name=name, options=self.choice, unit=self.unit, when=when)


def _condition(value: Any) -> Condition:
    if isinstance(value, dict):
        return none_of(*_many(value["not"]))
    return one_of(*_many(value))


def _many(value: Any) -> tuple[Value, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
