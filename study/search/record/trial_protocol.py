"""The protocol between the study's driver and the processes that train its trials, in both directions.

The driver's searcher hands out a `TrialConfig`, a trial's process answers with one `TrialReport` for each
epoch, more of them where epochs are long, and a last one that says how the trial ended. Ray Tune carries
both, as plain dictionaries, and changes them on the way:

- `Tuner(param_space=...)` is merged with what the searcher suggests. So a process finds the keys of
  `StudyContext.to_config`, which are the same for all trials, beside the keys of `TrialConfig.to_config`.
- A reused process gets its next configuration through `Trainable.reset_config`, not through `setup`.
- A result is flattened before a scheduler sees it: `{"metrics": {"accuracy": 0.9}}` arrives as
  `{"metrics/accuracy": 0.9}`. `TrialReport.to_result` writes flat keys itself, so that a result is the same
  on both sides.
- Ray Tune adds keys of its own to a result (`done`, `pid`, `training_iteration`, ...).
  `TrialReport.from_result` passes over them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from search_spaces.space import Point
from study.search.record.trial import EpochReport, State

_METRIC, _MEASURE, _PACE = "metrics/", "measures/", "pace/"
_OF_EPOCH, _OF_PROCESS = "spans_of_epoch/", "spans_of_process/"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How far a training is at a moment, within an epoch too, and how fast it goes."""

    num_epochs: int
    """Done."""
    share: float
    """Of the epoch under way that is trained, in [0, 1)."""
    images_per_second: float | None
    """In training, since the moment before; None after the first steps, which make everything ready."""
    epoch_seconds: float | None
    """What a whole epoch takes: the last one, validation included, or, within the first, what its images will
    take at this speed; None where that is not known."""
    device: str
    """What it trains on, such as `2 x NVIDIA H200`."""


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """From the driver to a process: a trial to start, or to go on with from its checkpoint."""

    number: int
    point: Point
    attempt: int
    """How often the trial was handed out before in this execution of the study."""
    parent: int | None = None
    """The trial whose checkpoint this one begins with; None for one that begins with its first epoch."""
    parent_epoch: int = 0
    """The last epoch of that checkpoint."""

    def to_config(self) -> dict[str, Any]:
        """The part of Ray Tune's configuration that is the trial's own."""
        return {
            "trial": self.number,
            "point": dict(self.point),
            "attempt": self.attempt,
            "parent": self.parent,
            "parent_epoch": self.parent_epoch,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrialConfig":
        """The trial in Ray Tune's configuration."""
        return cls(
            number=config["trial"],
            point=dict(config["point"]),
            attempt=config["attempt"],
            parent=config["parent"],
            parent_epoch=config["parent_epoch"],
        )


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """From a process to the driver: an epoch, or why there is none."""

    state: State
    """`running` within an epoch, and after one that is not the last, `complete` after the last; `failed` and
    `infeasible` end the trial with a reason; `waiting` says that the process broke, so that the trial waits
    for another one."""
    reason: str | None = None
    epoch: EpochReport | None = None
    """With `complete`, and with `running` but within an epoch."""
    micro_batch: int | None = None
    """Images that went through the network at a time, in this epoch."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """By the names of `study.study_file.measures`; with a trial's first report alone."""
    place: str | None = None
    """The machine and the devices that trained the epoch."""
    pace: Pace | None = None
    """With `running` and `complete`."""
    leaves: bool = False
    """Whether the process's machine goes away soon; a trial that is `running` has a checkpoint then."""
    process: str | None = None
    """Its own name: machine and number."""
    process_seconds: float = 0.0
    """For how long the process has measured its time."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the process since its last report by what they went into, without those of the epoch, which
    has its own."""

    def to_result(self) -> dict[str, Any]:
        """Ray Tune's result."""
        result: dict[str, Any] = {
            "state": self.state,
            "reason": self.reason,
            "micro_batch": self.micro_batch,
            "place": self.place,
            "leaves": self.leaves,
            "process": self.process,
            "process_seconds": self.process_seconds,
        }
        result |= {f"{_OF_PROCESS}{span}": seconds for span, seconds in self.spans.items()}
        result |= {f"{_MEASURE}{name}": value for name, value in self.measures.items()}
        if self.pace is not None:
            result |= {f"{_PACE}{name}": value for name, value in asdict(self.pace).items()}
        if self.epoch is not None:
            epoch = self.epoch
            result |= {
                "epoch": epoch.epoch,
                "value": epoch.value,
                "seconds": epoch.seconds,
                "run_id": epoch.run_id,
            }
            result |= {f"{_METRIC}{name}": value for name, value in epoch.metrics.items()}
            result |= {f"{_OF_EPOCH}{span}": seconds for span, seconds in epoch.spans.items()}
        return result

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> "TrialReport":
        """The report in a flat result."""
        epoch = None
        if "epoch" in result:
            metrics = _with_prefix(_METRIC, result)
            epoch = EpochReport(
                epoch=result["epoch"],
                value=result["value"],
                metrics=metrics,
                seconds=result["seconds"],
                spans=_with_prefix(_OF_EPOCH, result),
                run_id=result["run_id"],
            )
        return cls(
            state=result["state"],
            reason=result["reason"],
            epoch=epoch,
            micro_batch=result["micro_batch"],
            measures=_with_prefix(_MEASURE, result),
            place=result["place"],
            pace=Pace(**pace) if (pace := _with_prefix(_PACE, result)) else None,
            leaves=result["leaves"],
            process=result["process"],
            process_seconds=result["process_seconds"],
            spans=_with_prefix(_OF_PROCESS, result),
        )


def _with_prefix(prefix: str, result: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)}
