"""What becomes of a trial after an epoch, and of a population after an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Decision:
    """What becomes of a trial after an epoch, in the words of Ray Tune's schedulers."""

    action: Literal["continue", "stop", "pause"]
    reason: str = ""
    """Why the trial does not continue, for a person."""


CONTINUE = Decision("continue")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What becomes of a population whose trials all wait at one epoch."""

    epoch: int
    kept: tuple[int, ...]
    """Trials that go on."""
    parents: Mapping[int, int]
    """Trials whose place a new one takes, the worst first; by each of them, the trial that the new one goes
    on from."""
