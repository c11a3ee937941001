"""The cost of a study: seconds of training and validating, and what of it was saved or wasted."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from study.evaluation.confirmation import Confirmation
from study.names import trial_name
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial

GPUS_FACT = "gpus_per_trial"


@dataclass(frozen=True, kw_only=True)
class Item:
    """What one training cost."""

    name: str
    state: str
    seconds: float
    """Of the epochs that it reported."""
    gpu_seconds: float
    saved_seconds: float
    """The time of the epochs that early stopping left out, at the training's own pace."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a study cost so far, its confirmation included."""

    items: tuple[Item, ...]
    wall_seconds: float = 0.0
    """From beginning to end of search and confirmation, while the study held its machines."""

    @classmethod
    def of(cls, record: StudyRecord, epochs: int, study_folder: Path) -> "Cost":
        """The cost of a study whose complete trials have that many epochs."""
        gpus = record.facts.get(GPUS_FACT, 0.0)
        items = [_item(trial_name(trial.number), trial, epochs, gpus) for trial in record.trials]
        confirmation = Confirmation.read(study_folder)
        wall_seconds = record.facts.get("seconds", 0.0)
        if confirmation is not None:
            wall_seconds += confirmation.record.facts.get("seconds", 0.0)
            items += [
                _item(confirmation.name(trial.number), trial, epochs, gpus)
                for trial in confirmation.record.trials
            ]
        return cls(
            items=tuple(item for item in items if item.state != "waiting"),
            wall_seconds=wall_seconds,
        )

    @property
    def seconds(self) -> float:
        """Of all trainings."""
        return sum(item.seconds for item in self.items)

    @property
    def gpu_seconds(self) -> float:
        """Seconds times GPUs."""
        return sum(item.gpu_seconds for item in self.items)

    @property
    def saved_seconds(self) -> float:
        """By early stopping."""
        return sum(item.saved_seconds for item in self.items)

    @property
    def wasted_seconds(self) -> float:
        """By trainings that failed or were infeasible."""
        return sum(item.seconds for item in self.items if item.state in ("failed", "infeasible"))

    @property
    def sums(self) -> dict[str, float]:
        """Over all trainings."""
        names = ("seconds", "gpu_seconds", "saved_seconds", "wasted_seconds")
        return {name: round(getattr(self, name), 2) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.sums, "trainings": [_rounded(asdict(item)) for item in self.items]}


def _item(name: str, trial: Trial, epochs: int, gpus: float) -> Item:
    num_left = epochs - len(trial.values) if trial.state == "pruned" else 0
    pace = trial.seconds / max(len(trial.values), 1)
    return Item(
        name=name,
        state=trial.state,
        seconds=trial.seconds,
        gpu_seconds=gpus * trial.seconds,
        saved_seconds=num_left * pace,
    )


def _rounded(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in tree.items()}
