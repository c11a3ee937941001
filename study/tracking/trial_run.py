"""One trial's MLflow run, written from the trial's own process."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from study import names
from study.execution.assignment import Assignment
from study.tracking.closing import close_run
from study.tracking.dataset_input import log_dataset
from study.tracking.outbox import Outbox
from study.tracking.pictures import confusion_matrix, learning_curves
from trainables.datasets.manifest import Manifest
from trainables.epoch import Epoch
from trainables.metrics import METRICS
from trainables.recipe.tree import Recipe

MAX_CLASSES_WITH_METRICS = 50
"""Beyond this many classes, recalls by class stand in the confusion matrix only: thousands of metric columns break MLflow's page."""


class TrialRun:
    """The child run of one trial: parameters at its start, one batched call per epoch, pictures and a true status at its end."""

    def __init__(self, outbox: Outbox, assignment: Assignment, number: int, *, is_first: bool) -> None:
        """`is_first` says that no earlier process can have opened a run for this trial."""
        self._outbox = outbox
        self._assignment = assignment
        self._number = number
        self._is_first = is_first
        self._steps: frozenset[int] = frozenset()
        """Epochs that the run already had when it was found; used by the outbox's thread alone."""
        self._epochs: list[Epoch] = []
        self._classes: tuple[str, ...] = ()
        self.run_id: str | None = None
        """Known once MLflow has answered."""

    def open(self) -> None:
        """Opens the run, or the one that an earlier process opened for this trial."""

        def open_run(client: Any) -> None:
            found = None if self._is_first else _find_run(client, self._assignment, self._number)
            if found is not None:
                self._steps = _logged_steps(client, found)
            self.run_id = found or _create_run(client, self._assignment, self._number)

        self._outbox.put(open_run)

    def describe(self, point: Mapping[str, Any], recipe: Recipe, manifest: Manifest, device: str) -> None:
        """Says what is trained, on what and where."""
        self._classes = manifest.classes
        params = {**point, "epochs": recipe.num_epochs, "seed": recipe.seed, "image_size": recipe.data.image_size}
        tags = {names.DATASET_DIGEST: manifest.digest, names.DEVICE: device}
        self._outbox.put(lambda client: _log_description(client, self.run_id, params, tags))
        self._outbox.put(lambda client: log_dataset(client, self.run_id, manifest))
        self._outbox.put(lambda client: client.log_dict(self.run_id, recipe.to_dict(), "recipe.yaml"))

    def log_epoch(self, epoch: Epoch, best: float) -> None:
        """All of an epoch's metrics in one call, with the objective's best value so far: MLflow's tables show what came last."""
        self._epochs.append(epoch)
        metrics = {**_metrics(epoch, self._classes), f"best/{self._assignment.metric}": best}

        def log(client: Any) -> None:
            if epoch.number not in self._steps:  # an epoch that an earlier process logged is trained or told again
                _log_metrics(client, self.run_id, metrics, epoch.number)

        self._outbox.put(log)

    def complete(self) -> None:
        """Adds the pictures and ends the run as FINISHED."""
        self.draw()
        self._end("FINISHED", {names.STATE: "complete"})

    def note(self, tags: Mapping[str, str]) -> None:
        """Puts tags on the run."""
        self._outbox.put(lambda client: _log_description(client, self.run_id, {}, tags))

    def note_failure(self, details: str) -> None:
        """Adds a traceback as a file; the run goes on, as the trial may."""
        self._outbox.put(lambda client: client.log_text(self.run_id, details, "failure.txt"))

    def fail(self, reason: str, details: str, state: Literal["failed", "infeasible"] = "failed") -> None:
        """Ends the run as FAILED, with the reason as a tag and the traceback as a file."""
        self.note_failure(details)
        self._end("FAILED", {names.STATE: state, names.REASON: reason})

    def draw(self) -> None:
        """Adds learning curves and the last confusion matrix as pictures, once, if there was an epoch."""
        epochs, classes = tuple(self._epochs), self._classes
        self._epochs.clear()
        if epochs:
            self._outbox.put(lambda client: client.log_figure(self.run_id, learning_curves(epochs), "learning_curves.png"))
            self._outbox.put(
                lambda client: client.log_figure(self.run_id, confusion_matrix(epochs[-1].metrics, classes), "confusion_matrix.png")
            )

    def _end(self, status: str, tags: Mapping[str, str]) -> None:
        self._outbox.put(lambda client: close_run(client, self.run_id, status, tags))


def _find_run(client: Any, assignment: Assignment, number: int) -> str | None:
    query = f"tags.`{names.PARENT}` = '{assignment.parent_run_id}' and tags.`{names.TRIAL}` = '{number}'"
    found = client.search_runs([assignment.experiment_id], query, max_results=1)
    if not found:
        return None
    client.update_run(found[0].info.run_id, status="RUNNING")
    return str(found[0].info.run_id)


def _logged_steps(client: Any, run_id: str) -> frozenset[int]:
    return frozenset(metric.step for metric in client.get_metric_history(run_id, "train/loss"))


def _create_run(client: Any, assignment: Assignment, number: int) -> str:
    tags = {**assignment.tags, names.PARENT: assignment.parent_run_id, names.STUDY: assignment.study, names.TRIAL: str(number)}
    return str(client.create_run(assignment.experiment_id, tags=tags, run_name=names.trial_name(number)).info.run_id)


def _log_description(client: Any, run_id: str | None, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    from mlflow.entities import Param, RunTag

    client.log_batch(
        run_id,
        params=[Param(key, str(value)) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )


def _log_metrics(client: Any, run_id: str | None, metrics: Mapping[str, float], step: int) -> None:
    from mlflow.entities import Metric

    now_milliseconds = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(key, value, now_milliseconds, step) for key, value in metrics.items()])


def _metrics(epoch: Epoch, classes: tuple[str, ...]) -> dict[str, float]:
    metrics = {
        "train/loss": epoch.train_loss,
        "learning_rate": epoch.learning_rate,
        "seconds/train": epoch.train_seconds,
        "seconds/validation": epoch.validation_seconds,
        "images_per_second": epoch.num_train_images / max(epoch.train_seconds, 1e-9),
    }
    metrics |= {f"validation/{name}": value for name, value in ((name, getattr(epoch.metrics, name)) for name in METRICS)}
    if len(classes) <= MAX_CLASSES_WITH_METRICS:
        for kind, values in (("recall", epoch.metrics.recall_by_class), ("precision", epoch.metrics.precision_by_class)):
            metrics |= {names.class_metric(kind, name): value for name, value in zip(classes, values, strict=True) if value is not None}
    return metrics
