"""What trials say to MLflow, without trials: an context, epochs and records as tests need them."""

from pathlib import Path
from typing import Any

import numpy as np

from study.planning.study_context import StudyContext
from study.tracking.log_records import Described, Ended, LogRecord, Measured, Opened, Text
from trainables.metrics.classification import Metrics
from trainables.training.epoch import Epoch


def opened(experiment_id: str, name: str = "trial-0000", *, may_exist: bool = False) -> Opened:
    """A run that is found again by its name."""
    return Opened(
        experiment_id=experiment_id,
        name=name,
        tags={"study.trial": name},
        key=("study.trial",),
        milliseconds=1000,
        may_exist=may_exist,
    )


def measured(step: int, value: float | None = None) -> Measured:
    """An epoch with what its learning curves need, measured at its own second."""
    value = step / 100 if value is None else value
    scores = {
        f"validation/{name}": value for name in ("log_loss", "accuracy", "balanced_accuracy", "macro_f1")
    }
    return Measured(step=step, phase=1, milliseconds=1000 * step, metrics={"train/loss": 1 - value, **scores})


def ended() -> Ended:
    """A run that came to its end."""
    return Ended(status="FINISHED", tags={"study.state": "complete"}, milliseconds=99_000)


def whole_run(experiment_id: str, num_epochs: int = 5) -> list[LogRecord]:
    """A run from beginning to end, pictures left out."""
    description = Described(params={"learning_rate": "0.1"}, tags={"device": "cpu"})
    epochs = [measured(step) for step in range(1, num_epochs + 1)]
    return [
        opened(experiment_id),
        description,
        Text(path="recipe.yaml", content="seed: 1\n"),
        *epochs,
        ended(),
    ]


def context(folder: Path, tracking_uri: str, experiment_id: str, **changes: Any) -> StudyContext:
    """What the process of a trial is told."""
    told: dict[str, Any] = {
        "study": "logging",
        "study_folder": str(folder),
        "log_folder": str(folder / "outbox"),
        "dataset_folder": str(folder / "datasets" / "digits"),
        "metric": "accuracy",
        "maximise": True,
        "epochs": 3,
        "seed": 0,
        "cpus": 1,
        "weights": {},
        "tracking_uri": tracking_uri,
        "experiment_id": experiment_id,
        "parent_run_id": "parent",
        "is_resumed": False,
        "seconds_between_checkpoints": 0.0,
        "measures_latency": False,
        "tags": {},
    }
    return StudyContext(**{**told, **changes})


def epoch(number: int) -> Epoch:
    """An epoch on the ten digits."""
    return Epoch(
        number=number,
        phase=1,
        learning_rate=0.1,
        train_loss=1 / number,
        metrics=Metrics.from_counts(np.eye(10, dtype=int) * (number + 1) + 1, 100 / number),
        train_seconds=0.1,
        validation_seconds=0.1,
        num_train_images=100,
    )
