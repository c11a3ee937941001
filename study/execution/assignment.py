"""What a trial's process is told: plain values that travel to it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from search_spaces.space import Point


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """All that the trials of one study share."""

    study: str
    study_folder: str
    dataset_folder: str
    metric: str
    maximise: bool
    epochs: int
    seed: int
    cpus: int
    weights: Mapping[str, str]
    """Files of pretrained weights, by the names that points give them."""
    tracking_uri: str
    experiment_id: str
    parent_run_id: str
    is_resumed: bool
    """Whether an earlier driver of this study died, so that a trial may already have a run."""
    seconds_between_checkpoints: float
    """A trial writes its state at the end of an epoch if the last time is longer ago; 0 for every epoch."""
    measures_latency: bool
    """Whether an objective or a constraint wants to know how long an image takes."""
    tags: Mapping[str, str]
    """Put on every trial's run: commit, package versions."""

    def to_config(self) -> dict[str, Any]:
        """The part of Ray Tune's configuration that is the same for all trials."""
        return {"assignment": asdict(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Assignment":
        """The assignment in a trial's configuration."""
        return cls(**config["assignment"])


def trial_config(number: int, point: Point, attempt: int) -> dict[str, Any]:
    """The part of Ray Tune's configuration that is a trial's own; `attempt` counts its beginnings in this execution from 0."""
    return {"trial": number, "point": dict(point), "attempt": attempt}


def trial_seed(study_seed: int, number: int) -> int:
    """The seed of a trial's training, its own for each trial of each study seed."""
    return study_seed * 1_000_003 + number
