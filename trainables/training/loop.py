"""The training of one recipe on one dataset, as an iterator of epochs."""

import math
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.datasets.dataset import Dataset
from trainables.devices.device import deterministic, find_device
from trainables.devices.memory import room_for_images, translate_memory_errors
from trainables.devices.randomness import generator_states, seeded, set_generator_states
from trainables.errors import DivergedError
from trainables.inference.latency import median_seconds
from trainables.inference.logits import logits_of
from trainables.metrics.classification import Metrics
from trainables.metrics.from_logits import metrics_of_logits
from trainables.metrics.inspection import Inspection
from trainables.models.building import build_model
from trainables.models.catalogue import check_branches, check_recipe
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.data_parallel import WorkerProcesses
from trainables.training.epoch import Epoch
from trainables.training.epoch_under_way import EpochUnderWay
from trainables.training.loss_functions import build_loss
from trainables.training.phase_features import FeatureUse, PhaseFeatures
from trainables.training.process_group import ProcessGroup
from trainables.training.schedules import has_stalled, learning_rate
from trainables.training.step import Step
from trainables.training.stopwatch import Stopwatch
from trainables.training.torch_optimizers import build_optimizer, set_learning_rate
from trainables.training.training_images import TrainingImages
from trainables.training.training_state import TrainingState
from trainables.training.weight_average import WeightAverage
from trainables.transforms.augment import strength_multipliers
from trainables.transforms.fixed_views import fixed_views
from trainables.transforms.image_stream import DeviceImages, on_device
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width as stored, C channels, K classes

WORKER_MODULE = "trainables.training.worker"
"""What the processes of further devices run."""


class Training:
    """Trains a recipe on a dataset: iterate over it, or over what is left of it after `load`, to get its
    epochs; `advance` gives the control back within an epoch, too.

    On one device with one number of threads, the same recipe and dataset give the same epochs bit for bit,
    seconds excepted, also across `save` and `load`, within epochs too. The process's random generators are
    neither read nor changed. Not for several threads at once. After an exception within an epoch (Ctrl-C,
    too) the weights are those of no epoch: `load` before going on.

    Raises RecipeError where recipe and dataset do not fit, WeightsError where pretrained weights cannot be
    had, and, also while iterating, MemoryExhaustedError.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        *,
        device: torch.device | None = None,
        micro_batch: int | None = None,
        others: Sequence[torch.device] = (),
        is_streamed: bool | None = None,
        reuses_features: bool | None = None,
    ) -> None:
        """`micro_batch` is how many images go through the network at once, where a batch does not fit:
        gradients of the parts are added, so that a step stays the step of the whole batch, but for BatchNorm,
        which sees each part by itself. `others` are further devices, each with a process of its own, among
        which the parts of every batch are divided. With `is_streamed` images stay on the disk and are read
        while it trains, which changes no number; None does so where they do not fit. With `reuses_features`
        the output of frozen layers is computed once and kept on the machine, which changes logits by less
        than 1e-5; None does so where it pays, and several devices never do.
        """
        manifest = dataset.manifest
        check_recipe(recipe)
        check_branches(recipe.model.head, manifest.classes)
        self.recipe = recipe
        self.manifest = manifest
        largest = math.ceil(recipe.batch_size / (1 + len(others)))
        self.micro_batch = min(micro_batch or largest, largest)
        self.device = device or find_device()
        self.preprocessing = Preprocessing.of(recipe, manifest)
        self.is_streamed = (
            num_image_bytes(recipe, dataset) > room_for_images(self.device)
            if is_streamed is None
            else is_streamed
        )
        self._images = TrainingImages(
            dataset, recipe, self.preprocessing, self.device, is_streamed=self.is_streamed
        )
        self._network = build_model(
            recipe.model,
            num_classes=manifest.num_classes,
            channels=manifest.channels,
            image_size=recipe.data.image_size,
            seed=recipe.seed,
            normalisation=recipe.data.normalisation,
        )
        self._images.check_batches(self._network)
        self._network.module.to(self.device).to(memory_format=torch.channels_last)
        halflife = recipe.optimizer.average_halflife
        self._average = (
            None
            if halflife is None
            else WeightAverage(self._network.module, halflife, self._images.num_steps)
        )
        multipliers = strength_multipliers(recipe.augmentation, self._images.num_by_class)
        views = fixed_views(
            recipe.augmentation,
            image_size=recipe.data.image_size,
            crop_margin=recipe.data.crop_margin,
            labels_N=self._images.labels_N,
            multipliers=multipliers,
            device=self.device,
        )
        self._stopwatch = Stopwatch()
        """Of the epoch under way, or that comes next."""
        self._step = Step(
            recipe=recipe,
            network=self._network,
            loss=build_loss(recipe.loss, manifest.classes, self._images.num_by_class, self.device),
            preprocessing=self.preprocessing,
            average=self._average,
            multipliers_K=None if multipliers is None else torch.tensor(multipliers, device=self.device),
            views=views,
            micro_batch=self.micro_batch,
            device=self.device,
            stopwatch=self._stopwatch,
        )
        self._validation_NHWC = on_device(
            dataset.validation, self.preprocessing, self.device, is_streamed=self.is_streamed
        )
        self._validation_labels_N = torch.tensor(dataset.validation.labels, device=self.device)
        self._features = PhaseFeatures(
            recipe=recipe,
            dataset=dataset,
            network=self._network,
            images=self._images,
            validation=self._validation_NHWC,
            preprocessing=self.preprocessing,
            views=views,
            device=self.device,
            is_wanted=False if others else reuses_features,
        )
        self._feature_seconds = 0.0
        """Spent on features for the epoch that comes next."""
        self._accuracies: list[float] = []
        self._last_logits_NK: Tensor | None = None
        """Of the validation split, until the next epoch begins."""
        self._optimizer: torch.optim.Optimizer | None = None
        self._under_way: EpochUnderWay | None = None
        """The epoch that `advance` left before its end."""
        self._dataset = dataset
        self._group: ProcessGroup | None = None
        self._workers = WorkerProcesses(WORKER_MODULE, (self.device, *others)) if others else None
        if self._workers is not None:
            weakref.finalize(self, self._workers.stop)

    def __iter__(self) -> Iterator[Epoch]:
        """Trains one epoch per item. Raises DivergedError when the loss is no longer a finite number."""
        while not self.has_ended:
            epoch = self.advance(math.inf)
            assert epoch is not None, "without a limit an epoch comes to its end"
            yield epoch

    def advance(self, seconds: float) -> Epoch | None:
        """Trains to the end of the epoch, or for about `seconds`, at least one step; None where the epoch has
        not ended by then, and goes on with the next call.

        On several devices always to the end of the epoch. Raises what iterating raises.
        """
        assert not self.has_ended, "there is nothing left to train"
        number, phase_index = self.num_epochs_done + 1, self._position()[0]
        self._last_logits_NK = None
        self._stopwatch.split()
        with translate_memory_errors(self.device), self._with_workers():
            self._stopwatch.lap("start")
            begun = time.perf_counter()
            is_ready = self._features.prepare(phase_index, number - 1, self._validated, seconds)
            self._feature_seconds += time.perf_counter() - begun
            self._stopwatch.lap("features")
            if not is_ready:
                return None
            trained = self._train_epoch(
                begun + seconds - time.perf_counter() if self._workers is None else math.inf
            )
            if trained is None:
                return None
            trained.seconds += self._feature_seconds
            self._feature_seconds = 0.0
            start = time.perf_counter()
            metrics = self._validate(number, trained.learning_rate)
            validation_seconds = time.perf_counter() - start
            self._stopwatch.lap("validation")
        if self._workers is not None and self.has_ended:
            self._workers.stop()
        return Epoch(
            number=number,
            phase=phase_index + 1,
            learning_rate=trained.learning_rate,
            train_loss=trained.loss_sum.item() / self._images.num_per_epoch,
            metrics=metrics,
            train_seconds=trained.seconds,
            validation_seconds=validation_seconds,
            num_train_images=self._images.num_per_epoch,
            spans=self._stopwatch.take(),
        )

    def follow(self, group: ProcessGroup) -> None:
        """Takes all steps that are left as a process of the group: that of rank 0 validates, and has the
        weights.
        """
        self._group = group
        while not self.has_ended:
            self._train_epoch()
            self._accuracies.append(group.broadcast(0.0))

    @property
    def num_epochs_done(self) -> int:
        """Epochs finished so far, those before `load` included."""
        return len(self._accuracies)

    @property
    def share_of_epoch(self) -> float:
        """How much of the epoch under way is trained, in [0, 1); 0 between epochs."""
        return 0.0 if self._under_way is None else self._under_way.num_steps / self._images.num_steps

    @property
    def num_train_images(self) -> int:
        """Images that an epoch trains on."""
        return self._images.num_per_epoch

    @property
    def has_ended(self) -> bool:
        """Whether all epochs are done, or the recipe's patience is at its end."""
        return self.num_epochs_done >= self.recipe.num_epochs or has_stalled(
            self._accuracies, self.recipe.patience
        )

    @property
    def feature_use(self) -> FeatureUse | None:
        """What this training does about the frozen layers of the phase that it is in; None before the phase's
        first epoch, and where nothing is frozen.
        """
        return self._features.use

    @property
    def num_parameters(self) -> int:
        """Numbers that the network consists of."""
        return sum(parameter.numel() for parameter in self._network.module.parameters())

    def latency_seconds(self) -> float:
        """How long the network takes for one image of the validation split, evaluated as in validation: the
        median of a few times.
        """
        return median_seconds(lambda: self._logits(self._validation_NHWC[:1]).cpu())

    def predict(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of uint8 images (N, H, W, C) of the dataset's size, by the weights of
        now.
        """
        resident_NHWC = self.preprocessing.resident(images_NHWC, self.device)
        logits_NK = self._logits(resident_NHWC)
        return logits_NK.softmax(1).cpu().numpy()

    def inspection(self) -> Inspection:
        """What the validation of the epoch that was trained last looks like."""
        predicted_N, probability_N = self.predicted()
        return Inspection.of(
            predicted_N=predicted_N,
            probability_N=probability_N,
            labels_N=self._validation_labels_N.cpu().numpy(),
            num_classes=self.manifest.num_classes,
            epoch=self.num_epochs_done,
        )

    def predicted(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The most probable class (N,) of each image of the validation split after the last epoch, and its
        probability (N,): by the logits that the epoch computed, or, after `load`, by those computed anew.
        """
        if self._last_logits_NK is None:
            self._last_logits_NK = self._validation_logits()
        probability_N, predicted_N = self._last_logits_NK.double().softmax(1).max(1)
        return predicted_N.cpu().numpy(), probability_N.cpu().numpy()

    def weights(self) -> dict[str, Tensor]:
        """A copy on the CPU of the state dict that is validated, the average where the recipe keeps one;
        further epochs leave it alone.
        """
        return {
            key: tensor.detach().to("cpu", copy=True) for key, tensor in self._validated.state_dict().items()
        }

    def save(self, folder: Path) -> None:
        """Writes all that the following epochs depend on into `folder`, whole or not at all."""
        self.state.write(folder)

    @property
    def state(self) -> TrainingState:
        """All that the following epochs depend on; it shares its tensors with this training."""
        return TrainingState(
            recipe=self.recipe,
            dataset=self.manifest.digest,
            accuracies=self._accuracies,
            network=self._network.module.state_dict(),
            average=None if self._average is None else self._average.state_dict(),
            optimizer=None if self._optimizer is None else self._optimizer.state_dict(),
            partway=None if self._under_way is None else self._under_way.partway(self._stopwatch.seconds),
        )

    def load(self, folder: Path, *, with_other_values: bool = False) -> None:
        """Continues where `save` wrote into `folder`; `with_other_values`, also a training of a recipe that
        differs from this one in no more than what may change on the way (`trainables.recipe.continuation`):
        this recipe's values hold from here on.

        Raises FileNotFoundError if it did not, RecipeError if it was another recipe's training or another
        dataset's.
        """
        self.restore(
            TrainingState.read(
                folder, self.recipe, self.manifest.digest, self.device, with_other_values=with_other_values
            )
        )

    def restore(self, state: TrainingState) -> None:
        """Continues from the state of a training of this recipe, or of one that may change to it on the way,
        on this dataset.
        """
        if self._workers is not None:
            self._workers.stop()
        self._last_logits_NK = None
        self._features.forget()
        self._network.module.load_state_dict(state.network)
        if self._average is not None and state.average is not None:
            self._average.load_state_dict(state.average)
        self._accuracies = list(state.accuracies)
        self._optimizer = None
        phase_index, epoch_of_phase = self._position()
        if (epoch_of_phase > 0 or state.partway is not None) and state.optimizer is not None:
            optimizer = self._enter(self.recipe.phases[phase_index])
            before = build_optimizer(state.recipe.optimizer, self._network, state.recipe.phases[phase_index])
            before.load_state_dict(state.optimizer)
            # A state dict would bring the values and groups that it was written under; what it knows of each
            # parameter moves alone.
            optimizer.state.update(before.state)
        self._under_way = None if state.partway is None else EpochUnderWay.of(state.partway, self.device)
        self._stopwatch.seconds = {} if state.partway is None else dict(state.partway.spans)

    def _position(self) -> tuple[int, int]:
        """Of the next epoch: index of its phase, and epochs of that phase already done."""
        epochs = self.num_epochs_done
        for index, phase in enumerate(self.recipe.phases):
            if epochs < phase.epochs:
                return index, epochs
            epochs -= phase.epochs
        return len(self.recipe.phases), 0

    def _with_workers(self) -> AbstractContextManager[object]:
        """A context in which the processes of further devices, where there are some, are ready to take the
        same steps.
        """
        if self._workers is None:
            return nullcontext()
        assert self._dataset.folder is not None, "the others open the dataset where it lies"
        settings = {
            "recipe": self.recipe.to_dict(),
            "dataset": str(self._dataset.folder.resolve()),
            "micro_batch": self.micro_batch,
        }
        self._group = self._workers.group(settings, self.save)
        return self._workers.explained()

    def _train_epoch(self, seconds: float = math.inf) -> EpochUnderWay | None:
        """What is left of one pass over the training split; None where it was not done after `seconds`.

        Waits for the device once, at its end.
        """
        begun = time.perf_counter()
        phase_index, epoch_of_phase = self._position()
        phase, num_done, num_steps = (
            self.recipe.phases[phase_index],
            self.num_epochs_done,
            self._images.num_steps,
        )
        under_way = self._under_way or self._new_epoch(phase if epoch_of_phase == 0 else None)
        self._under_way = None  # after an error there is nothing to go on with
        optimizer = self._optimizer
        assert optimizer is not None, "the phase has been entered"
        accuracies, progress = (
            self._accuracies[num_done - epoch_of_phase :],
            num_done / self.recipe.num_epochs,
        )
        with (
            seeded(self.recipe.seed, _dropout_purpose(self._group), num_done + 1, self.device),
            deterministic(self.device),
        ):
            if under_way.generators is not None:
                set_generator_states(under_way.generators, self.device)
            self._network.train(self.recipe.model.batch_norm)
            self._step.lap_at_end()
            suffix = self._features.suffix()
            if under_way.batches is None:
                under_way.batches = self._images.batches(
                    num_done, under_way.num_steps, self._features.of_training(num_done)
                )
            for batch in under_way.batches:
                self._stopwatch.lap("data")
                index = under_way.num_steps
                rate = learning_rate(phase, epoch_of_phase * num_steps + index, num_steps, accuracies)
                set_learning_rate(optimizer, rate)
                number = num_done * num_steps + index
                loss = self._step.take(optimizer, batch, number, num_done, progress, self._group, suffix)
                under_way.loss_sum += loss * len(batch.labels_B)
                under_way.learning_rate = rate
                under_way.num_steps += 1
                if time.perf_counter() - begun >= seconds and under_way.num_steps < num_steps:
                    under_way.generators = generator_states(self.device)
                    under_way.seconds += time.perf_counter() - begun
                    self._under_way = under_way
                    return None
            train_loss = under_way.loss_sum.item() / self._images.num_per_epoch
            self._step.lap_at_end()
        _check_finite("training", train_loss, num_done + 1, under_way.learning_rate)
        under_way.seconds += time.perf_counter() - begun
        return under_way

    def _new_epoch(self, phase: Phase | None) -> EpochUnderWay:
        """The next epoch before its first step; `phase` is the one that begins with it, if one does."""
        if phase is not None:
            self._enter(phase)
        return EpochUnderWay(loss_sum=torch.zeros((), dtype=torch.float64, device=self.device))

    def _validate(self, number: int, last_learning_rate: float) -> Metrics:
        """The metrics of the validation split after epoch `number`, which count as that epoch's end."""
        logits_NK = self._validation_logits()
        metrics = metrics_of_logits(logits_NK, self._validation_labels_N)
        _check_finite("validation", metrics.log_loss, number, last_learning_rate)
        self._accuracies.append(
            metrics.accuracy if self._group is None else self._group.broadcast(metrics.accuracy)
        )
        self._last_logits_NK = logits_NK
        return metrics

    def _enter(self, phase: Phase) -> torch.optim.Optimizer:
        self._network.prepare(phase)
        self._optimizer = build_optimizer(self.recipe.optimizer, self._network, phase)
        return self._optimizer

    @property
    def _validated(self) -> nn.Module:
        return self._network.module if self._average is None else self._average.module

    def _validation_logits(self) -> Tensor:
        logits_NK = self._features.validation_logits(self._validated)
        return self._logits(self._validation_NHWC) if logits_NK is None else logits_NK

    def _logits(self, images_NHWC: DeviceImages) -> Tensor:
        return logits_of(
            self._validated, self.preprocessing, images_NHWC, self.recipe.evaluation, seed=self.recipe.seed
        )


def num_image_bytes(recipe: Recipe, dataset: Dataset) -> int:
    """What the images of a training take where they are all on its device."""
    num_train = recipe.data.train_images or len(dataset.train)
    return (num_train + len(dataset.validation)) * Preprocessing.of(recipe, dataset.manifest).resident_bytes


def _dropout_purpose(group: ProcessGroup | None) -> str:
    """What the seed of an epoch's dropout is derived for: each process of a group drops out other values."""
    return f"dropout of member {group.rank}" if group is not None and group.rank else "dropout"


def _check_finite(which: str, loss: float, number: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the {which} loss became {loss} in epoch {number} at learning rate {rate:g}; lower "
            "learning_rate or lengthen warmup_fraction"
        )
