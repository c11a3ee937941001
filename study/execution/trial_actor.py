"""A trial on a Ray actor: the adapter between an iterator of epochs and Ray Tune and MLflow."""

import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from ray import tune

from cluster.packing import memory_fraction
from study import names
from study.execution.system_metrics import MachineUse
from study.execution.trial_device import trial_device, trial_devices
from study.planning.study_context import StudyContext
from study.recipes.point import build_recipe
from study.search.record.checkpoints import (
    CheckpointNotes,
    load_checkpoint,
    read_notes,
    save_checkpoint,
    write_notes,
)
from study.search.record.kept_weights import save_weights
from study.search.record.trial import EpochReport
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.tracking.outbox import Outbox
from study.tracking.trial_run import TrialRun
from trainables.datasets.dataset import Dataset
from trainables.datasets.listing import read_manifest
from trainables.datasets.node_cache import cached_dataset
from trainables.devices.device import device_name
from trainables.devices.memory import limit_memory, translate_memory_errors
from trainables.devices.threads import use_threads
from trainables.errors import MemoryExhaustedError, TrainableError
from trainables.metrics.classification import METRICS
from trainables.training.epoch import Epoch
from trainables.training.loop import Training

GOODBYE_SECONDS = 5.0
"""How long a process that ends goes on sending to MLflow; Ray Tune gives it 10 s. What is left then, the
study's driver sends."""


class TrialActor(tune.Trainable):
    """Trains one trial after another in one process: its imports, its mapped dataset and its connection serve
    them all.

    A training that fails ends its trial, not the process: the result says so. Where memory runs out, the
    trial goes on from its checkpoint with half as many images at a time through the network, and is
    infeasible once a single one is too much. After an error that may have spoiled the process (anything but a
    bad configuration or a diverged loss) the result says that the trial waits: `RayScheduler` has the process
    ended, and the study decides whether the trial goes on in a fresh one.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Readies the process, then the first trial."""
        self._context = StudyContext.from_config(config)
        self._devices = trial_devices(self._context.gpus)
        use_threads(self._context.cpus // len(self._devices))
        _stay_in_share(self._context)
        self._outbox = Outbox(self._context.tracking_uri).start()
        self._outbox.wake()  # it imports MLflow while this process readies its first training
        self._dataset: Dataset | None = None
        self._training: Training | None = None
        self._epoch_to_repeat: Epoch | None = None
        """The first report of a trial that goes on: the last epoch before it was cut off, which may never
        have arrived."""
        self._notes = CheckpointNotes()
        self._saved_at = 0.0
        self._saved_epoch = 0
        self._machine = MachineUse(self._devices[0])
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial, of the same study; never False, by which Ray Tune would lose the trial."""
        self._run.leave()  # a trial that was stopped learns it here
        self._save()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One epoch, or the trial's failure, as Ray Tune's result."""
        return self._next_report().to_result()

    def _next_report(self) -> TrialReport:
        while True:
            try:
                if self._training is None:
                    self._training = self._start()
                epoch = self._epoch_to_repeat or next(iter(self._training))
                self._epoch_to_repeat = None
                return self._epoch_report(self._training, epoch)
            except MemoryExhaustedError as error:
                if not self._take_smaller_parts():
                    return self._failure(error, "infeasible")
            except TrainableError as error:
                return self._failure(error, "failed")
            except Exception as error:  # noqa: BLE001  a failed trial says why, whatever it is
                return self._failure(error, "waiting")

    def answers(self) -> bool:
        """True; the driver asks for it to find out whether the process is still there."""
        return True

    def cleanup(self) -> None:
        """Writes the state of a trial that was cut off, and sends MLflow what it accepts within seconds."""
        self._save()
        self._run.leave()
        self._outbox.drain(GOODBYE_SECONDS)

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._trial = TrialConfig.from_config(config)
        self._is_open = False
        self._is_unmeasured = True
        is_first = self._trial.attempt == 0 and not self._context.is_resumed
        self._run = TrialRun(self._outbox, self._context, self._trial.number, is_first=is_first)
        self._training = None  # frees its memory before the next one takes its own
        self._epoch_to_repeat = None
        self._notes = read_notes(self._folder, self._trial.number)

    def _start(self) -> Training:
        context = self._context
        if self._dataset is None:
            self._dataset = Dataset.open(_stored(context))
        manifest = self._dataset.manifest
        named = str(self._trial.point.get("weights", "none"))
        point = {**self._trial.point, "weights": context.weights.get(named, named)}
        recipe = build_recipe(
            point, dataset=manifest, epochs=context.epochs, seed=context.trial_seed(self._trial.number)
        )
        device, *others = self._devices
        if not self._is_open:
            self._run.open()
            each = f"{len(self._devices)} x " if others else ""
            self._run.describe(self._trial.point, recipe, manifest, each + device_name(device))
            if self._trial.parent is not None:
                self._run.note(names.continuing_tags(self._trial.parent, self._trial.parent_epoch))
            self._is_open = True
        with translate_memory_errors(device):
            training = Training(
                recipe, self._dataset, device=device, micro_batch=self._notes.micro_batch, others=others
            )
        self._load(training)
        last = self._notes.last_epoch
        if last is not None and last["number"] == training.num_epochs_done:
            self._epoch_to_repeat = Epoch.from_dict(last)
        self._saved_at = time.monotonic()
        return training

    def _load(self, training: Training) -> None:
        """Goes to the trial's checkpoint, if it has one.

        Raises TrainableError where it should have its parent's, and has not.
        """
        parent, parent_epoch = self._trial.parent, self._trial.parent_epoch
        if not load_checkpoint(
            self._folder, self._trial.number, training, with_other_values=parent is not None
        ):
            self._notes = CheckpointNotes(micro_batch=self._notes.micro_batch)
        if parent is not None and training.num_epochs_done < parent_epoch:
            raise TrainableError(
                f"the checkpoint of {names.trial_name(parent)} at epoch {parent_epoch}, from which this "
                "trial goes on, is gone"
            )
        self._saved_epoch = training.num_epochs_done

    def _take_smaller_parts(self) -> bool:
        """Drops the training for one of half the micro-batch, which goes on from the checkpoint; False if it
        cannot be halved.
        """
        if self._training is None or self._training.micro_batch == 1:
            return False  # not even the network and the images fit, or a single image does not
        self._notes = replace(self._notes, micro_batch=self._training.micro_batch // 2)
        write_notes(self._folder, self._trial.number, self._notes)
        self._training = None
        self._run.note({names.MICRO_BATCH: str(self._notes.micro_batch)})
        return True

    def _save(self) -> None:
        """Writes the state of the training, if there is one with something left to train.

        Not twice after the same epoch: when a process that idled takes its next trial, its last one may be
        further on in another.
        """
        training = self._training
        if training is not None and not training.has_ended and training.num_epochs_done > self._saved_epoch:
            save_checkpoint(self._folder, self._trial.number, training, self._notes)
            self._saved_at, self._saved_epoch = time.monotonic(), training.num_epochs_done

    @property
    def _folder(self) -> Path:
        return Path(self._context.study_folder)

    def _epoch_report(self, training: Training, epoch: Epoch) -> TrialReport:
        value = float(getattr(epoch.metrics, self._context.metric))
        best = self._notes.best
        if best is None or (value > best if self._context.maximise else value < best):
            best = value
            save_weights(self._folder, self._trial.number, training)
            self._run.inspect(training.inspection())
        self._notes = replace(self._notes, best=best, last_epoch=epoch.to_dict())
        self._run.log_epoch(epoch, best, self._machine.since_last())
        is_last = training.has_ended
        if time.monotonic() - self._saved_at >= self._context.seconds_between_checkpoints:
            self._save()
        if is_last:
            self._run.complete()
        return TrialReport(
            state="complete" if is_last else "running",
            epoch=EpochReport(
                epoch=epoch.number,
                value=value,
                metrics={name: getattr(epoch.metrics, name) for name in METRICS},
                seconds=epoch.train_seconds + epoch.validation_seconds,
                run_id=self._run.run_id,
            ),
            micro_batch=training.micro_batch,
            measures=self._measures(training) if self._is_unmeasured else {},
        )

    def _measures(self, training: Training) -> dict[str, float]:
        """What does not change over a trial: reported once."""
        self._is_unmeasured = False
        measures = {"parameters_million": training.num_parameters / 1e6}
        if self._context.measures_latency:
            measures["latency_ms"] = training.latency_seconds() * 1e3
        return measures

    def _failure(self, error: Exception, state: Literal["failed", "infeasible", "waiting"]) -> TrialReport:
        reason = str(error) if isinstance(error, TrainableError) else f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error))
        if state == "waiting":
            self._run.note_failure(details)
        else:
            self._run.fail(reason, details, state)
        self._training = None
        return TrialReport(state=state, reason=reason)


def _stay_in_share(context: StudyContext) -> None:
    """Limits the process to its part of a GPU that it shares: another's trial must not run out of memory by
    this one's doing.
    """
    device = trial_device()
    if device.type == "cuda" and context.gpus < 1:
        _, total_bytes = torch.cuda.mem_get_info(device)
        limit_memory(device, memory_fraction(context.gpus, total_bytes, context.gpu_overhead_bytes))


def _stored(context: StudyContext) -> Path:
    """The dataset's folder: this machine's own copy of one that is published, where others would wait for
    shared storage.
    """
    if context.dataset_address is None:
        return Path(context.dataset_folder)
    return cached_dataset(context.dataset_address, read_manifest(Path(context.dataset_folder)).digest)
