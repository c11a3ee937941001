"""A trial on a Ray actor: the adapter between an iterator of epochs and Ray Tune and MLflow."""

import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from cluster.nodes import this_node_drains
from cluster.packing import memory_fraction
from study import names
from study.execution.checkpoint_writer import CheckpointWriter
from study.execution.process_time import ProcessTime
from study.execution.speedometer import Speedometer
from study.execution.system_metrics import MachineUse
from study.execution.trial_device import place_of, trial_device, trial_devices
from study.planning.study_context import StudyContext
from study.recipes.point import build_recipe
from study.search.record.checkpoints import (
    CheckpointNotes,
    load_checkpoint,
    read_notes,
    write_notes,
)
from study.search.record.kept_weights import save_weights
from study.search.record.trial import EpochReport
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.tracking.outbox import Outbox
from study.tracking.trial_run import TrialRun
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset
from trainables.datasets.listing import read_manifest
from trainables.datasets.node_cache import cached_dataset
from trainables.devices.device import device_name
from trainables.devices.memory import limit_memory, room_for_images, translate_memory_errors
from trainables.devices.threads import use_threads
from trainables.errors import MemoryExhaustedError, TrainableError
from trainables.metrics.classification import METRICS
from trainables.recipe.tree import Recipe
from trainables.training.cross_validation import CrossValidation
from trainables.training.epoch import Epoch
from trainables.training.loop import Training, num_image_bytes

SECONDS_WITHIN_EPOCH = 10.0
"""How often a trial looks up from a long epoch: so long it takes until a stop or a kill reaches it."""
MIN_STREAMED_SHARE = 0.05
"""Of the room for images: what less takes is not what memory lacks."""
GOODBYE_SECONDS = 5.0
"""How long a process that ends goes on sending to MLflow; Ray Tune gives it 10 s. What is left then, the
study's driver sends."""


class TrialActor:
    """Trains one trial after another in one process: its imports, its mapped dataset and its connection serve
    them all.

    A training that fails ends its trial, not the process: the result says so. Where memory runs out, the
    trial goes on from its checkpoint with half as many images at a time through the network, and is
    infeasible once a single one is too much; before that, images that take much of it stay on the disk. After
    an error that may have spoiled the process (anything but a bad configuration or a diverged loss) the
    result says that the trial waits: `RayScheduler` has the process ended, and the study decides whether the
    trial goes on in a fresh one.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Readies the process, then the first trial."""
        self._time = ProcessTime()
        self._context = StudyContext.from_config(config)
        self._devices = trial_devices(self._context.gpus)
        use_threads(self._context.cpus // len(self._devices))
        _stay_in_share(self._context)
        self._outbox = Outbox(self._context.tracking_uri).start()
        self._outbox.wake()  # it imports MLflow while this process readies its first training
        self._dataset: Dataset | None = None
        self._folded: FoldedDataset | None = None
        self._training: Training | CrossValidation | None = None
        self._epoch_to_repeat: Epoch | None = None
        """The first report of a trial that goes on: the last epoch before it was cut off, which may never
        have arrived."""
        self._notes = CheckpointNotes()
        self._writer = CheckpointWriter(self._folder)
        self._saved_at = 0.0
        self._has_moved = False
        """Whether the training is further on than its last checkpoint."""
        self._machine = MachineUse(self._devices[0])
        self._speedometer = Speedometer(self._device_text)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial, of the same study; never False, by which Ray Tune would lose the trial."""
        self._time.lap("idle")
        self._run.leave()  # a trial that was stopped learns it here
        self._save()
        self._writer.wait()
        self._time.lap("weights")
        self._begin(new_config)
        self._time.lap("start")
        return True

    def step(self) -> dict[str, Any]:
        """One epoch, a part of a long one, or the trial's failure, as Ray Tune's result."""
        self._time.begin_step()
        return self._time.stamped(self._next_report()).to_result()

    def _next_report(self) -> TrialReport:
        while True:
            try:
                if self._training is None:
                    self._training = self._start()
                self._time.lap("start")
                epoch, self._epoch_to_repeat = self._epoch_to_repeat, None
                if epoch is None:
                    epoch = self._speedometer.advance(self._training, SECONDS_WITHIN_EPOCH)
                    self._has_moved = True
                    self._time.end_advance()
                if epoch is None:
                    leaves = this_node_drains()
                    self._keep(at_once=leaves)
                    self._time.lap("weights")
                    return TrialReport(state="running", pace=self._speedometer.pace, leaves=leaves)
                return self._epoch_report(self._training, epoch)
            except MemoryExhaustedError as error:
                if not (self._leave_images_on_disk() or self._take_smaller_parts()):
                    return self._failure(error, "infeasible")
                self._time.lose()
                _let_go(error)
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
        self._writer.wait()
        self._run.leave()
        self._outbox.drain(GOODBYE_SECONDS)

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._trial = TrialConfig.from_config(config)
        self._is_open = False
        self._is_unmeasured = True
        self._frozen_layers: tuple[int, bool, bool] | None = None
        """The phase, and whose features it uses, that the run has a sentence on."""
        self._time.begin_trial()
        self._machine.begin_trial()
        self._speedometer.begin_trial()
        is_first = self._trial.attempt == 0 and not self._context.is_resumed
        self._run = TrialRun(self._outbox, self._context, self._trial.number, is_first=is_first)
        self._training = None  # frees its memory before the next one takes its own
        self._image_bytes = 0
        self._epoch_to_repeat = None
        self._notes = read_notes(self._folder, self._trial.number)

    def _start(self) -> Training | CrossValidation:
        context = self._context
        if self._dataset is None:
            self._dataset = Dataset.open(_stored(context))
        manifest = self._dataset.manifest
        named = str(self._trial.point.get("weights", "none"))
        point = {**self._trial.point, "weights": context.weights.get(named, named)}
        recipe = build_recipe(
            point, dataset=manifest, epochs=context.epochs, seed=context.trial_seed(self._trial.number)
        )
        if not self._is_open:
            self._time.lap("start")
            self._run.open()
            self._run.describe(self._trial.point, recipe, manifest, self._device_text)
            if self._trial.parent is not None:
                self._run.note(names.continuing_tags(self._trial.parent, self._trial.parent_epoch))
            self._is_open = True
            self._time.lap("logging")
        self._image_bytes = num_image_bytes(recipe, self._dataset) * (context.num_folds or 1)
        with translate_memory_errors(self._devices[0]):
            training = self._new_training(recipe, self._dataset)
            self._load(training)
        last = self._notes.last_epoch
        if last is not None and last["number"] == training.num_epochs_done:
            self._epoch_to_repeat = Epoch.from_dict(last)
        self._saved_at = time.monotonic()
        return training

    def _new_training(self, recipe: Recipe, dataset: Dataset) -> Training | CrossValidation:
        """The training before its first epoch, on all of this process's devices."""
        device, *others = self._devices
        micro_batch, num_folds = self._notes.micro_batch, self._context.num_folds
        is_streamed = self._notes.is_streamed or None  # where it is not noted, what fits decides
        if num_folds is None:
            return Training(
                recipe,
                dataset,
                device=device,
                micro_batch=micro_batch,
                others=others,
                is_streamed=is_streamed,
            )
        if self._folded is None:
            self._folded = FoldedDataset.of(dataset, num_folds)
        return CrossValidation(
            recipe, self._folded, device=device, micro_batch=micro_batch, is_streamed=is_streamed
        )

    def _load(self, training: Training | CrossValidation) -> None:
        """Goes to the trial's checkpoint, if it has one.

        Raises TrainableError where it should have its parent's, and has not.
        """
        parent, parent_epoch = self._trial.parent, self._trial.parent_epoch
        if not load_checkpoint(
            self._folder, self._trial.number, training, with_other_values=parent is not None
        ):
            self._notes = CheckpointNotes(
                micro_batch=self._notes.micro_batch, is_streamed=self._notes.is_streamed
            )
        if parent is not None and training.num_epochs_done < parent_epoch:
            raise TrainableError(
                f"the checkpoint of {names.trial_name(parent)} at epoch {parent_epoch}, from which this "
                "trial goes on, is gone"
            )
        self._has_moved = False

    def _leave_images_on_disk(self) -> bool:
        """Drops the training for one that streams its images and goes on from the checkpoint; False where
        that frees little.
        """
        device = self._devices[0]
        is_streamed = self._notes.is_streamed or (self._training is not None and self._training.is_streamed)
        if is_streamed or self._image_bytes < MIN_STREAMED_SHARE * room_for_images(device):
            return False
        self._notes = replace(self._notes, is_streamed=True)
        write_notes(self._folder, self._trial.number, self._notes)
        self._training = None
        return True

    def _take_smaller_parts(self) -> bool:
        """Drops the training for one of half the micro-batch, which goes on from the checkpoint; False if it
        cannot be halved.
        """
        if self._training is None or self._training.micro_batch == 1:
            return False  # not even the network and the images fit, or a single image does not
        self._notes = replace(self._notes, micro_batch=self._training.micro_batch // 2)
        self._writer.wait()
        write_notes(self._folder, self._trial.number, self._notes)
        self._training = None
        self._run.note({names.MICRO_BATCH: str(self._notes.micro_batch)})
        return True

    def _keep(self, *, at_once: bool) -> None:
        """Saves where it is time to; `at_once` where another process, or another trial, may go on from here
        as soon as this is reported.
        """
        if at_once:
            self._save()
            self._writer.wait()
        else:
            self._save_if_due()

    def _save_if_due(self) -> None:
        seconds = max(self._context.seconds_between_checkpoints, self._writer.least_seconds)
        if not self._writer.is_writing and time.monotonic() - self._saved_at >= seconds:
            self._save()

    def _save(self) -> None:
        """Begins to write the state of the training, if there is one with something left to train.

        Not twice the same: when a process that idled takes its next trial, its last one may be further on in
        another.
        """
        training = self._training
        if training is not None and not training.has_ended and self._has_moved:
            self._writer.write(self._trial.number, training, self._notes)
            self._saved_at, self._has_moved = time.monotonic(), False

    @property
    def _device_text(self) -> str:
        each = f"{len(self._devices)} x " if len(self._devices) > 1 else ""
        return each + device_name(self._devices[0])

    @property
    def _folder(self) -> Path:
        return Path(self._context.study_folder)

    def _epoch_report(self, training: Training | CrossValidation, epoch: Epoch) -> TrialReport:
        self._time.end_epoch()
        self._speedometer.note(epoch)
        value = float(getattr(epoch.metrics, self._context.metric))
        best = self._notes.best
        if best is None or (value > best if self._context.maximise else value < best):
            best = value
            save_weights(self._folder, self._trial.number, training)
            self._time.lap("weights")
            self._run.inspect(training.inspection())
        self._notes = replace(self._notes, best=best, last_epoch=epoch.to_dict())
        self._run.log_epoch(epoch, best, self._machine.if_due())
        self._note_frozen_layers(training, epoch.phase)
        self._time.lap("logging")
        is_last = training.has_ended
        leaves = this_node_drains()
        self._keep(at_once=leaves or epoch.number in self._context.pause_epochs)
        self._time.lap("weights")
        if is_last:
            self._run.complete()
            self._time.lap("logging")
        measures = self._measures(training) if self._is_unmeasured else {}
        self._time.lap("validation")
        return TrialReport(
            state="complete" if is_last else "running",
            epoch=EpochReport(
                epoch=epoch.number,
                value=value,
                metrics={name: getattr(epoch.metrics, name) for name in METRICS},
                seconds=epoch.train_seconds + epoch.validation_seconds,
                spans=epoch.spans,
                run_id=self._run.run_id,
            ),
            micro_batch=training.micro_batch,
            measures=measures,
            place=place_of(self._devices),
            pace=self._speedometer.pace,
            leaves=leaves,
        )

    def _note_frozen_layers(self, training: Training | CrossValidation, phase: int) -> None:
        """Says on the run what is done about the frozen layers of a phase, where that is new."""
        use = training.feature_use
        if use is None:
            return
        now = (phase, use.is_of_training, use.is_of_validation)
        if now != self._frozen_layers:
            self._frozen_layers = now
            self._run.note({names.FROZEN_LAYERS: f"phase {phase}: {use.sentence}"})

    def _measures(self, training: Training | CrossValidation) -> dict[str, float]:
        """What does not change over a trial: reported once."""
        self._is_unmeasured = False
        measures = {"parameters_million": training.num_parameters / 1e6}
        if self._context.measures_latency:
            measures["latency_ms"] = training.latency_seconds() * 1e3
        return measures

    def _failure(self, error: Exception, state: Literal["failed", "infeasible", "waiting"]) -> TrialReport:
        self._time.lose()
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


def _let_go(error: BaseException) -> None:
    """Frees what the frames of an error hold: the training that had no memory, for one."""
    for one in (error, error.__cause__, error.__context__):
        if one is not None:
            traceback.clear_frames(one.__traceback__)
