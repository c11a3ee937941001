"""The rules of a recipe's fields: each field declares its own with its type, and a part checks them all when
it is built.

strength: Annotated[float, Within(0.0, 1.0)] = 0.0
fill: Literal["zeros", "border", "reflection"] = "zeros"
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from trainables.errors import FieldError


class Rule(Protocol):
    """What the values of a field have in common."""

    def holds(self, value: Any) -> bool:
        """Whether `value` keeps the rule."""

    def __str__(self) -> str:
        """The rule as a message has it: `must lie in [0, 1]`."""


@dataclass(frozen=True)
class Within:
    """A number in [low, high]."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies in the range."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"must lie in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class AboveZero:
    """A finite number above 0, at most `high`."""

    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether `value` lies in the range."""
        return 0 < value <= self.high and math.isfinite(value)

    def __str__(self) -> str:
        return (
            "must be above 0 and finite"
            if math.isinf(self.high)
            else f"must be above 0 and at most {self.high:g}"
        )


@dataclass(frozen=True)
class OneOf:
    """One of some words; a field of type `Literal` has this rule without declaring it."""

    options: tuple[str, ...]

    def holds(self, value: object) -> bool:
        """Whether `value` is one of the options."""
        return value in self.options

    def __str__(self) -> str:
        return f"must be one of {', '.join(self.options)}"


class Continuation(Enum):
    """Whether a field may change while a training goes on, where its type alone does not say so
    (`trainables.recipe.continuation`).
    """

    MAY_CHANGE = "may change"
    LASTS = "lasts"


def check_fields(part: Any) -> None:
    """Raises FieldError for the first field of a recipe's part whose value breaks its rule; None is absent,
    and breaks none.
    """
    kind: Any = type(part)
    for name, rules in rules_of(kind).items():
        value = getattr(part, name)
        for rule in rules:
            if value is not None and not rule.holds(value):
                raise FieldError(name, f"{rule}, got {value!r}")


@cache
def rules_of(kind: type) -> Mapping[str, tuple[Rule, ...]]:
    """The rules of each field of a recipe's part, in the order of its fields."""
    return {name: _rules(hint) for name, hint in _hints(kind).items()}


@cache
def changeable_fields(kind: type) -> frozenset[str]:
    """The fields of a recipe's part that may change while a training goes on: numbers with a fraction, and
    what says so itself.
    """
    return frozenset(name for name, hint in _hints(kind).items() if _is_changeable(hint))


def _hints(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def _rules(hint: Any) -> tuple[Rule, ...]:
    bare, notes = _unwrapped(hint)
    options = (OneOf(get_args(bare)),) if get_origin(bare) is Literal else ()
    return (*options, *(note for note in notes if not isinstance(note, Continuation)))


def _is_changeable(hint: Any) -> bool:
    bare, notes = _unwrapped(hint)
    stated = [note for note in notes if isinstance(note, Continuation)]
    return stated == [Continuation.MAY_CHANGE] if stated else bare is float


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type of a field that is not None, and what `Annotated` says of it."""
    bare, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if get_origin(bare) in (Union, UnionType):
        bare = next(option for option in get_args(bare) if option is not type(None))
    return bare, tuple(notes)
