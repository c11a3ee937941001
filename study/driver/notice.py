"""One notice: what a person, or a program, is told of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from search_spaces.dimensions import Value

NoticeKind = Literal["end", "failure", "best", "wait"]


@dataclass(frozen=True, kw_only=True)
class BestSoFar:
    """A trial that has ended better than all before it."""

    trial: str
    metric: str
    """The objective."""
    value: float
    point: Mapping[str, Value]
    """Its configuration."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What is told: the JSON that a webhook or a command gets has these keys."""

    text: str
    """A sentence."""
    study: str
    event: NoticeKind
    state: str
    """Of the study: `running`, `queued`, `finished`, `stopped`, `interrupted`, `failed`."""
    user: str
    """Who began the study."""
    best: BestSoFar | None = None
    """With a new best."""
