"""Dimensions: one hyperparameter's range each, both bounds inclusive, checked when they are built."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from search_spaces.errors import SpaceError

Value = str | int | float | bool


@dataclass(frozen=True)
class Condition:
    """Holds where another dimension's value is one of `values` (or, negated, is none of them)."""

    values: tuple[Value, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        if not self.values:
            raise SpaceError("a condition needs at least one value, got none")

    def holds(self, value: Value) -> bool:
        """Whether `value` meets the condition."""
        return (value in self.values) != self.negated

    def excludes(self, other: "Condition") -> bool:
        """Whether no value can meet both."""
        if self.negated and other.negated:
            return False
        if self.negated or other.negated:
            allowed, denied = (other, self) if self.negated else (self, other)
            return set(allowed.values) <= set(denied.values)
        return not set(self.values) & set(other.values)

    def __str__(self) -> str:
        return ("not " if self.negated else "") + "|".join(str(value) for value in self.values)


def one_of(*values: Value) -> Condition:
    """The condition that a dimension's value is one of `values`."""
    return Condition(values)


def none_of(*values: Value) -> Condition:
    """The condition that a dimension's value is none of `values`."""
    return Condition(values, negated=True)


@dataclass(frozen=True, kw_only=True)
class Float:
    """A real number in [low, high]."""

    name: str
    low: float
    high: float
    log: bool = False
    """Whether it is drawn evenly in its logarithm."""
    unit: str | None = None
    about: str = ""
    when: Mapping[str, Condition] = field(default_factory=dict)
    """Conditions on earlier dimensions, all of which must hold for this one to exist."""

    def __post_init__(self) -> None:
        _check_bounds(self)

    def holds(self, value: Value) -> bool:
        """Whether `value` lies in the range."""
        return _is_number(value) and self.low <= float(value) <= self.high

    def narrowed(self, wanted: object) -> "Float":
        """The same dimension over the part of [low, high] that the pair `wanted` leaves.

        Raises SpaceError if nothing is left.
        """
        low, high = _overlap(self, wanted)
        return dataclasses.replace(self, low=low, high=high)

    def __str__(self) -> str:
        return (
            f"[{self.low:g}, {self.high:g}]"
            + (" log" if self.log else "")
            + (f" {self.unit}" if self.unit else "")
        )


@dataclass(frozen=True, kw_only=True)
class Int:
    """A whole number in [low, high]."""

    name: str
    low: int
    high: int
    log: bool = False
    unit: str | None = None
    about: str = ""
    when: Mapping[str, Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_bounds(self)
        for bound in (self.low, self.high):
            if not isinstance(bound, int) or isinstance(bound, bool):
                raise SpaceError(f"Int {self.name!r} needs whole bounds, got {bound!r}")

    def holds(self, value: Value) -> bool:
        """Whether `value` is a whole number in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def narrowed(self, wanted: object) -> "Int":
        """The same dimension over the part of [low, high] that the pair `wanted` leaves.

        Raises SpaceError if nothing is left.
        """
        low, high = _overlap(self, wanted)
        return dataclasses.replace(self, low=math.ceil(low), high=math.floor(high))

    def __str__(self) -> str:
        return (
            f"{self.low} … {self.high}"
            + (" log" if self.log else "")
            + (f" {self.unit}" if self.unit else "")
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values; a choice of one is a constant."""

    name: str
    options: tuple[Value, ...]
    unit: str | None = None
    about: str = ""
    when: Mapping[str, Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.options:
            raise SpaceError(f"Choice {self.name!r} needs at least one option, got none")
        for option in self.options:
            if not isinstance(option, Value):
                raise SpaceError(f"Choice {self.name!r} takes text, numbers and truth values, got {option!r}")
        if len(set(map(repr, self.options))) < len(self.options):
            raise SpaceError(
                f"Choice {self.name!r} names an option twice: {', '.join(map(str, self.options))}"
            )

    def holds(self, value: Value) -> bool:
        """Whether `value` is one of the options (48 and 48.0 are one value; 1 and True are not)."""
        return any(
            value == option and isinstance(value, bool) == isinstance(option, bool) for option in self.options
        )

    def narrowed(self, wanted: object) -> "Choice":
        """The same dimension with only the options in the list `wanted`.

        Raises SpaceError if it names none of them.
        """
        if not isinstance(wanted, list | tuple):
            raise SpaceError(
                f"narrow {self.name!r} takes a list of options, got {wanted!r}; to set one value use fix"
            )
        kept = tuple(option for option in self.options if option in wanted)
        if not kept:
            raise SpaceError(
                f"narrow {self.name!r} to {list(wanted)} leaves nothing of "
                f"{', '.join(map(str, self.options))}"
            )
        return dataclasses.replace(self, options=kept)

    def __str__(self) -> str:
        return " | ".join(map(str, self.options)) + (f" {self.unit}" if self.unit else "")


Dimension = Float | Int | Choice


def _check_bounds(dimension: "Float | Int") -> None:
    kind, low, high = type(dimension).__name__, dimension.low, dimension.high
    for bound in (low, high):
        if not _is_number(bound) or not math.isfinite(bound):
            raise SpaceError(f"{kind} {dimension.name!r} needs finite numbers as bounds, got {bound!r}")
    if low > high:
        raise SpaceError(f"{kind} {dimension.name!r} needs low <= high, got low={low:g}, high={high:g}")
    if dimension.log and low <= 0:
        raise SpaceError(f"{kind} {dimension.name!r} with log=True needs low > 0, got low={low:g}")


def _overlap(dimension: "Float | Int", wanted: object) -> tuple[float, float]:
    name = dimension.name
    if not (
        isinstance(wanted, list | tuple) and len(wanted) == 2 and all(_is_number(bound) for bound in wanted)
    ):
        raise SpaceError(f"narrow {name!r} takes [low, high], got {wanted!r}; to set one value use fix")
    low, high = wanted
    if low > high:
        raise SpaceError(f"narrow {name!r} needs low <= high, got [{low:g}, {high:g}]")
    if high < dimension.low or low > dimension.high:
        raise SpaceError(
            f"narrow {name!r} to [{low:g}, {high:g}] leaves nothing of {dimension}; to go beyond the space "
            "use extend"
        )
    return max(low, dimension.low), min(high, dimension.high)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
