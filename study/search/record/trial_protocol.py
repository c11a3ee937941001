"""The protocol between the study's driver and the processes that train its trials, in both directions.

The driver's searcher hands out a `TrialConfig`, a trial's process answers with one `TrialReport` for each
epoch, and a last one that says how the trial ended. Ray Tune carries both, as plain dictionaries, and changes
them on the way:

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
from dataclasses import dataclass, field
from typing import Any

from search_spaces.space import Point
from study.search.record.trial import EpochReport, State

_METRIC, _MEASURE = "metrics/", "measures/"


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
    """`running` after an epoch that is not the last, `complete` after the last; `failed` and `infeasible` end
    the trial with a reason; `waiting` says that the process broke, so that the trial waits for another
    one."""
    reason: str | None = None
    epoch: EpochReport | None = None
    """With `running` and `complete`."""
    micro_batch: int | None = None
    """Images that went through the network at a time, in this epoch."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """By the names of `study.study_file.measures`; with a trial's first report alone."""

    def to_result(self) -> dict[str, Any]:
        """Ray Tune's result."""
        result: dict[str, Any] = {"state": self.state, "reason": self.reason, "micro_batch": self.micro_batch}
        result |= {f"{_MEASURE}{name}": value for name, value in self.measures.items()}
        if self.epoch is not None:
            epoch = self.epoch
            result |= {
                "epoch": epoch.epoch,
                "value": epoch.value,
                "seconds": epoch.seconds,
                "run_id": epoch.run_id,
            }
            result |= {f"{_METRIC}{name}": value for name, value in epoch.metrics.items()}
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
                run_id=result["run_id"],
            )
        return cls(
            state=result["state"],
            reason=result["reason"],
            epoch=epoch,
            micro_batch=result["micro_batch"],
            measures=_with_prefix(_MEASURE, result),
        )


def _with_prefix(prefix: str, result: Mapping[str, Any]) -> dict[str, float]:
    return {key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)}
