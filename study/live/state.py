"""How a study goes at a moment: plain values, which travel from the cluster's desk to whoever watches.

`study.live.reading` computes them from the study's folder alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from search_spaces.dimensions import Value
from study.live.events import Event
from study.live.paces import Devices


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """The trial with the best value so far, whether or not it has ended."""

    name: str
    state: str
    value: float
    """The objective at its best epoch."""
    epoch: int
    """Its best one."""
    point: Mapping[str, Value]
    """Its configuration, without what the study file fixes."""


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that a process trains now."""

    name: str
    epoch: int
    """How many are done."""
    num_epochs: int
    """Of a trial that is not stopped early."""
    share: float
    """Of the epoch under way that is trained, in [0, 1)."""
    value: float | None
    """The objective at its best epoch so far."""
    images_per_second: float | None
    """In training; None until its process has told it."""
    seconds_left: float | None
    """Until its last epoch, if it is not stopped early."""
    device: str | None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One of the limits of the budget."""

    what: str
    """Such as `trials`, `hours`, `epochs`."""
    spent: float
    most: float


@dataclass(frozen=True, kw_only=True)
class LiveState:
    """How a study goes."""

    study: str
    dataset: str
    user: str
    state: str
    """As `study list` has it: `queued`, `starting`, `running`, `stopping`, `interrupted`, `stopped`,
    `finished`, `failed`."""
    does: str
    """What it does now, in a word or a sentence: `searching`, `confirming the best`, …"""
    failure: str | None
    """Why its last driver ended with an error."""
    time: float
    """When this was read, in seconds since 1970."""
    metric: str
    """The first objective."""
    maximise: bool
    best: BestTrial | None
    running: tuple[RunningTrial, ...]
    """By number."""
    counts: Mapping[str, int]
    """Trials by state, and `to come`: those of the budget that have not begun."""
    num_ended: int
    num_trials: int
    """Of the budget, or of the trainings that confirm the best."""
    share_done: float
    """Of the trials' epochs, in [0, 1]: those of a trial that ended early are all done."""
    devices: Devices | None
    """None until the first trial has reported."""
    limits: tuple[Limit, ...]
    seconds: float
    """Wall-clock time so far, of the search, or of the confirmation."""
    seconds_left: float | None
    """Until the search, and the confirmation that may follow, have ended; None while nobody can tell."""
    curve: tuple[float, ...]
    """The best value after each trial that ended, in their order, and last that of now; of many, so many as
    show the course."""
    events: tuple[Event, ...]
    """What happened last, the latest last."""

    @property
    def is_driven(self) -> bool:
        """Whether a process drives it: otherwise nothing changes until somebody resumes it."""
        return self.state in ("queued", "starting", "running", "stopping")

    def to_json(self) -> str:
        """One line of JSON."""
        return _STATE.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "LiveState":
        """What `to_json` wrote. Raises ValueError for another text."""
        return _STATE.validate_json(text)


_STATE = TypeAdapter(LiveState)
