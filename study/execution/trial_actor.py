"""A trial on a Ray actor: the adapter between an iterator of epochs and Ray Tune and MLflow."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from study.execution.assignment import Assignment, trial_seed
from study.point import build_recipe
from study.tracking.outbox import DRAIN_SECONDS, Outbox
from study.tracking.trial_run import TrialRun
from study.weights_folder import save_weights
from trainables.datasets.dataset import Dataset
from trainables.epoch import Epoch
from trainables.errors import TrainableError
from trainables.metrics import METRICS
from trainables.training import Training

LAST_EPOCH_SECONDS = 30.0
"""How long a complete trial holds its last epoch back until MLflow has all of it: Ray Tune gives a process that ends 10 s."""


class TrialActor(tune.Trainable):
    """Trains one trial after another in one process: its imports, its mapped dataset and its connection serve them all.

    A training that fails ends its trial, not the process: the result says so. After an error that may have spoiled the process
    (anything but a bad configuration or a diverged loss) the actor declines its next trial, and Ray starts a fresh one.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Readies the process, then the first trial."""
        self._assignment = Assignment.from_config(config)
        torch.set_num_threads(self._assignment.cpus)
        self._outbox = Outbox(self._assignment.tracking_uri)
        self._dataset: Dataset | None = None
        self._is_spoiled = False
        self._training: Training | None = None
        self._best: float | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial; False if this process should not."""
        self._run.draw()  # for a trial that was stopped, which it learns here
        if self._is_spoiled or Assignment.from_config(new_config) != self._assignment:
            return False
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One epoch, as Ray Tune's result; `outcome` says whether it was the last, or that the trial failed."""
        try:
            if self._training is None:
                self._training = self._start()
            return self._result(self._training, next(iter(self._training)))
        except Exception as error:
            return self._failure(error)

    def cleanup(self) -> None:
        """Draws what is left and waits for MLflow."""
        self._run.draw()
        self._outbox.drain(DRAIN_SECONDS)

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._number: int = config["trial"]
        self._point: dict[str, Any] = dict(config["point"])
        self._run = TrialRun(self._outbox, self._assignment, self._number)
        self._training = None  # frees its memory before the next one takes its own
        self._best = None

    def _start(self) -> Training:
        assignment = self._assignment
        self._run.open()
        if self._dataset is None:
            self._dataset = Dataset.open(Path(assignment.dataset_folder))
        manifest = self._dataset.manifest
        named = self._point.get("weights", "none")
        point = {**self._point, "weights": assignment.weights.get(named, named)}
        recipe = build_recipe(point, dataset=manifest, epochs=assignment.epochs, seed=trial_seed(assignment.seed, self._number))
        device = _device()
        self._run.describe(self._point, recipe, manifest, _device_name(device))
        return Training(recipe, self._dataset, device=device)

    def _result(self, training: Training, epoch: Epoch) -> dict[str, Any]:
        value = float(getattr(epoch.metrics, self._assignment.metric))
        if self._best is None or (value > self._best if self._assignment.maximise else value < self._best):
            self._best = value
            save_weights(Path(self._assignment.study_folder), self._number, training)
        self._run.log_epoch(epoch, self._best)
        is_last = training.has_ended
        if is_last:
            self._run.complete()
            self._outbox.drain(LAST_EPOCH_SECONDS)
        return {
            "outcome": "complete" if is_last else "going_on",
            "epoch": epoch.number,
            "value": value,
            "metrics": {name: getattr(epoch.metrics, name) for name in METRICS},
            "seconds": epoch.train_seconds + epoch.validation_seconds,
            "run_id": self._run.run_id,
        }

    def _failure(self, error: Exception) -> dict[str, Any]:
        self._is_spoiled = not isinstance(error, TrainableError)
        reason = str(error) if isinstance(error, TrainableError) else f"{type(error).__name__}: {error}"
        self._run.fail(reason, "".join(traceback.format_exception(error)))
        return {"outcome": "failed", "reason": reason, "run_id": self._run.run_id}


def _device() -> torch.device:
    """The GPU that Ray assigned to this process, if it did; a machine's other GPUs are other trials'."""
    return torch.device("cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
