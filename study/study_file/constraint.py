"""A bound that a study's configurations must keep."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from search_spaces.errors import did_you_mean
from study.errors import SpecError
from study.study_file.measures import MEASURES
from trainables.metrics.classification import METRICS

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
            raise SpecError(
                "a constraint reads NAME <= NUMBER or NAME >= NUMBER, such as 'parameters_million <= 5'; "
                f"got {text!r}"
            )
        known = (*MEASURES, *METRICS)
        if found["name"] not in known:
            hint = did_you_mean(found["name"], known)
            raise SpecError(
                f"the constraint {text!r} names {found['name']!r}; known: {', '.join(known)}{hint}"
            )
        return cls(name=found["name"], relation="<=" if found["relation"] == "<=" else ">=", bound=bound)

    def violation(self, value: float) -> float:
        """How far `value` lies beyond the bound; at most 0 where it keeps it."""
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound!r}"


def _read(written: Any) -> Any:
    return Constraint.parse(written) if isinstance(written, str) else written


WrittenConstraint = Annotated[
    Constraint,
    BeforeValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A constraint in a study file: text, such as `parameters_million <= 5`."""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
