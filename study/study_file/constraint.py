"""A bound that a study's configurations must keep."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator

from search_spaces.errors import did_you_mean
from study.errors import SpecError
from study.study_file.measures import MEASURES
from trainables.metrics.classification import METRICS, RANGES
from trainables.printable import quoted

_READS = "a constraint reads NAME <= NUMBER or NAME >= NUMBER, such as 'parameters_million <= 5'"
"""The beginning of a message."""
_FORM = re.compile(r"\s*(?P<name>\w+)\s*(?P<relation><=|>=)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """`name <= bound` or `name >= bound`, of a metric at the best epoch or of a measure."""

    name: str
    relation: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """The constraint that a person wrote. Raises SpecError."""
        found = _FORM.fullmatch(text)
        bound = None if found is None else _number(found["bound"])
        if found is None or bound is None:
            raise SpecError(f"{_READS}; got {quoted(text)}")
        known = (*MEASURES, *METRICS)
        if found["name"] not in known:
            hint = did_you_mean(found["name"], known)
            raise SpecError(
                f"the constraint {quoted(text)} names {quoted(found['name'])}; "
                f"known: {', '.join(known)}{hint}"
            )
        low, high = RANGES.get(found["name"], (0.0, math.inf))
        if not low <= bound <= high:
            raise SpecError(
                f"the constraint {text!r} is kept by all or by none, as {found['name']} lies in "
                f"[{low:g}, {high:g}]; give a number in between"
            )
        return cls(name=found["name"], relation="<=" if found["relation"] == "<=" else ">=", bound=bound)

    def violation(self, value: float) -> float:
        """How far `value` lies beyond the bound; at most 0 where it keeps it."""
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound!r}"


def _read(written: Any) -> Constraint:
    if isinstance(written, Constraint):
        return written
    if not isinstance(written, str):
        raise SpecError(f"{_READS}; got {quoted(written)}")
    return Constraint.parse(written)


WrittenConstraint = Annotated[
    Constraint,
    PlainValidator(_read),
    PlainSerializer(str, return_type=str),
]
"""A constraint in a study file: text, such as `parameters_million <= 5`."""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
