"""One trial, as the record knows it, and one epoch of it, as its process reports it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search_spaces.space import Point
from study.search.record.continuation import Continues

State = Literal["waiting", "running", "paused", "complete", "pruned", "killed", "infeasible", "failed"]
"""A paused trial waits at a rung, or for a slot in place of one that its study gave back; an infeasible one
cannot be trained at all, for want of memory say, which the sampler learns."""
End = Literal["complete", "pruned", "killed", "infeasible", "failed"]
"""Early stopping prunes a trial, a person kills one."""
STAYS = "stays"
"""The fact of a trial that says where it trained: a `place`, and `since` when in seconds since 1970, for each
change of it."""
SPANS = "spans"
"""The fact of a trial that says where its time went: seconds by process, and there by what they were spent
on, as `trainables.training.stopwatch` names it."""
STOPPED = ("pruned", "killed")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is known of one trial."""

    number: int
    state: State
    point: Point
    origin: str | None
    """The named recipe or point of the study file that it starts from, or the trial that it continues; None
    where the sampler drew it."""
    continues: Continues | None = None
    """Where it began, if it went on from another trial's checkpoint: its point alone did not make its weights
    then."""
    values: Mapping[int, float]
    """The first objective by epoch."""
    best_epoch: int | None
    value: float | None
    """The first objective at its best epoch."""
    metrics: Mapping[str, float]
    """All validation metrics at the best epoch."""
    measures: Mapping[str, float]
    """What was measured beside the metrics, by the names of `study.study_file.measures`."""
    objectives: Mapping[str, float | None]
    """Every objective of the study by name, in order; None while it is not known."""
    violations: Mapping[str, float]
    """How far each constraint of which something is known is missed; at most 0 where it is kept."""
    seconds: float
    """Spent training and validating."""
    run_id: str | None
    """Its MLflow run."""
    reason: str | None
    """Why it failed or was stopped."""
    retries: tuple[str, ...]
    """Why it was begun again, once for each time."""
    facts: Mapping[str, Any]
    """What else was noted of it: JSON values."""
    gave_way: bool = False
    """Whether it is paused as its study gave back its slot, and not at a rung."""
    started: float | None = None
    """When it began for the first time, in seconds since 1970."""
    ended: float | None
    """When it ended, in seconds since 1970."""

    @property
    def last_epoch(self) -> int:
        """How far its weights have come: with the epochs before its own, where it continues another trial."""
        return max(self.values, default=0 if self.continues is None else self.continues.epoch)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("complete", *STOPPED, "infeasible", "failed")

    @property
    def is_feasible(self) -> bool:
        """Whether it can be trained and misses no constraint, as far as is known."""
        return self.state != "infeasible" and all(violation <= 0 for violation in self.violations.values())


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One epoch of a trial, as its process reports it."""

    epoch: int
    value: float
    metrics: Mapping[str, float]
    seconds: float
    """Of this epoch."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """Seconds of this epoch by what they went into; empty where it was not measured."""
    run_id: str | None
