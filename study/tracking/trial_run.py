"""One trial's MLflow run, logged by the trial's own process."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from study import names
from study.planning.study_context import StudyContext
from study.tracking.dataset_input import dataset_used
from study.tracking.delivery import Delivery
from study.tracking.descriptions import trial_description
from study.tracking.log_records import Described, Ended, LogRecord, Measured, Opened, Pictures, Text
from study.tracking.outbox import Outbox
from study.tracking.run_log import RunLog
from study.yaml_file import yaml_text
from trainables.datasets.manifest import Manifest
from trainables.metrics.classification import METRICS
from trainables.metrics.inspection import Inspection
from trainables.recipe.tree import Recipe
from trainables.training.epoch import Epoch

MAX_CLASSES_WITH_METRICS = 50
"""Beyond this many classes no metrics by class: thousands of columns break MLflow's page."""


MAX_TAG_CHARACTERS = 8000
"""MLflow's own limit."""


class TrialRun:
    """The child run of one trial: parameters first, then epochs, at its end pictures and a true status.

    All of it goes to the run's log immediately, and from there to MLflow when MLflow takes it. Nothing here
    waits for MLflow or raises because of it.
    """

    def __init__(self, outbox: Outbox, context: StudyContext, number: int, *, is_first: bool) -> None:
        """The run of a trial that this process may come to train; nothing is written before it is opened.

        `is_first` says that no earlier process can have opened a run for this trial.
        """
        self._outbox = outbox
        self._run_log = RunLog(Path(context.log_folder), context.run_name(number))
        self._delivery: Delivery | None = None
        self._context = context
        self._number = number
        self._is_first = is_first
        self._has_new_epochs = False
        self._best: float | None = None
        """That was logged last."""
        self._classes: tuple[str, ...] = ()

    @property
    def run_id(self) -> str | None:
        """Known once MLflow has answered."""
        return self._delivery.run_id if self._delivery is not None else None

    def open(self) -> None:
        """Opens the run, or the one that an earlier process opened for this trial."""
        context = self._context
        known = {names.PARENT: context.parent_run_id, **context.run_tags(self._number)}
        self._log(
            Opened(
                experiment_id=context.experiment_id,
                name=context.run_name(self._number),
                tags={
                    **context.tags,
                    names.STUDY: context.study,
                    names.NOTE: trial_description(context, self._number),
                    **known,
                },
                key=tuple(known),
                milliseconds=_now(),
                may_exist=not self._is_first and not self._run_log.records,
            )
        )

    def describe(self, point: Mapping[str, Any], recipe: Recipe, manifest: Manifest, device: str) -> None:
        """Logs what is trained, on which data and where."""
        self._classes = manifest.classes
        params = {
            **point,
            "epochs": recipe.num_epochs,
            "seed": recipe.seed,
            "image_size": recipe.data.image_size,
            **({} if self._context.num_folds is None else {"folds": self._context.num_folds}),
        }
        self._log(
            Described(
                params={key: str(value) for key, value in params.items()},
                tags={names.DATASET_DIGEST: manifest.digest, names.DEVICE: device, **_point_tag(point)},
            ),
            dataset_used(manifest),
            Text(path="recipe.yaml", content=yaml_text(recipe.to_dict())),
        )

    def log_epoch(self, epoch: Epoch, best: float, of_machine: Mapping[str, float]) -> None:
        """Logs an epoch: what a person follows at every epoch, and the rest where it says something new.

        `best` is the objective's best value so far. Metrics of single classes are logged where it is this
        epoch's: MLflow's tables show what came last, and so the classes of the weights that are kept.
        `of_machine` holds the use of the machine, by the names of MLflow's system metrics, and is empty where
        it was not read; an epoch's speed is logged with it.
        """
        self._has_new_epochs = True
        is_best = best != self._best and best == getattr(epoch.metrics, self._context.metric)
        self._best = best
        metrics = {
            names.best_metric(self._context.metric): best,  # MLflow's comparison colours by the first one
            **_of_every_epoch(epoch),
            **self._deviation(epoch),
            **(_of_classes(epoch, self._classes) if is_best else {}),
            **({**_speed(epoch), **of_machine} if of_machine else {}),
        }
        self._log(Measured(step=epoch.number, phase=epoch.phase, milliseconds=_now(), metrics=metrics))

    def inspect(self, inspection: Inspection) -> None:
        """Keeps what the pictures of the best epoch are drawn from."""
        try:
            inspection.save(self._run_log.inspection_file)
        except OSError as error:
            _warn(error)

    def complete(self) -> None:
        """Adds the pictures and ends the run as FINISHED."""
        self.log_pictures()
        self._end("FINISHED", {names.STATE: "complete"})

    def note(self, tags: Mapping[str, str]) -> None:
        """Puts tags on the run."""
        self._log(Described(tags=tags))

    def note_failure(self, details: str) -> None:
        """Adds a traceback as a file; the run goes on, as the trial may."""
        self._log(Text(path="failure.txt", content=details))

    def fail(self, reason: str, details: str, state: Literal["failed", "infeasible"] = "failed") -> None:
        """Ends the run as FAILED, with the reason as a tag and the traceback as a file."""
        self.note_failure(details)
        self._end("FAILED", {names.STATE: state, names.REASON: reason})

    def log_pictures(self) -> None:
        """Adds the pictures of the training so far, if there was an epoch since the last ones."""
        if self._has_new_epochs:
            self._has_new_epochs = False
            context = self._context
            self._log(
                Pictures(
                    classes=self._classes,
                    dataset_folder=context.dataset_folder,
                    is_folded=context.num_folds is not None,
                )
            )

    def leave(self) -> None:
        """Adds the pictures and lets go of the log: this process trains the trial no more."""
        self.log_pictures()
        if self._delivery is not None:
            self._outbox.leave(self._delivery)

    def _deviation(self, epoch: Epoch) -> dict[str, float]:
        """How far the objective scatters over folds; empty without folds."""
        metric = self._context.metric
        return {
            names.deviation_metric(name): value for name, value in epoch.deviations.items() if name == metric
        }

    def _end(self, status: str, tags: Mapping[str, str]) -> None:
        self._log(Ended(status=status, tags=tags, milliseconds=_now()))

    def _log(self, *records: LogRecord) -> None:
        try:
            # Only now: Ray Tune also starts processes for trials that another process then trains, and a log
            # that such a process made after the study's end would stay there.
            self._delivery = self._delivery or self._outbox.hold(self._run_log)
            self._run_log.append(*records)
        except OSError as error:
            _warn(error)
        self._outbox.wake(can_wait=all(isinstance(record, Measured) for record in records))


def _warn(error: OSError) -> None:
    print(f"MLflow will lack what could not be written to disk: {error}", file=sys.stderr)


def _now() -> int:
    return int(time.time() * 1000)


def _point_tag(point: Mapping[str, Any]) -> dict[str, str]:
    """The configuration with the types of its values, which parameters lose; nothing if it is too long."""
    text = json.dumps(point)
    return {names.POINT: text} if len(text) <= MAX_TAG_CHARACTERS else {}


def _of_every_epoch(epoch: Epoch) -> dict[str, float]:
    """What a person follows: whether it learns, at which learning rate, and by every metric that a study may
    optimise, as people compare studies of different objectives.
    """
    return {
        names.TRAIN_LOSS: epoch.train_loss,
        names.LEARNING_RATE: epoch.learning_rate,
        **{names.validation_metric(name): getattr(epoch.metrics, name) for name in METRICS},
    }


def _speed(epoch: Epoch) -> dict[str, float]:
    """How fast it trains, which changes with the machine's load rather than with the epoch."""
    return {
        names.TRAIN_SECONDS: epoch.train_seconds,
        names.VALIDATION_SECONDS: epoch.validation_seconds,
        names.IMAGES_PER_SECOND: epoch.num_train_images / max(epoch.train_seconds, 1e-9),
    }


def _of_classes(epoch: Epoch, classes: tuple[str, ...]) -> dict[str, float]:
    """Which classes it confuses, two rows a class: more than all the rest together."""
    if len(classes) > MAX_CLASSES_WITH_METRICS:
        return {}
    kinds = {"recall": epoch.metrics.recall_by_class, "precision": epoch.metrics.precision_by_class}
    return {
        name: value
        for kind, values in kinds.items()
        for name, value in zip(names.class_metrics(kind, classes), values, strict=True)
        if value is not None
    }
