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
from trainables.devices.memory import translate_memory_errors
from trainables.devices.randomness import seeded
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
from trainables.training.loss_functions import build_loss
from trainables.training.process_group import ProcessGroup
from trainables.training.schedules import has_stalled, learning_rate
from trainables.training.step import Step
from trainables.training.torch_optimizers import build_optimizer, set_learning_rate
from trainables.training.training_images import TrainingImages
from trainables.training.training_state import TrainingState
from trainables.training.weight_average import WeightAverage
from trainables.transforms.augment import strength_multipliers
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width as stored, C channels, K classes

WORKER_MODULE = "trainables.training.worker"
"""What the processes of further devices run."""


class Training:
    """Trains a recipe on a dataset: iterate over it, or over what is left of it after `load`, to get its
    epochs.

    On one device with one number of threads, the same recipe and dataset give the same epochs bit for bit,
    seconds excepted, also across `save` and `load`. The process's random generators are neither read nor
    changed. Not for several threads at once. After an exception within an epoch (Ctrl-C, too) the weights are
    those of no epoch: `load` before going on.

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
    ) -> None:
        """`micro_batch` is how many images go through the network at once, where a batch does not fit:
        gradients of the parts are added, so that a step stays the step of the whole batch, but for BatchNorm,
        which sees each part by itself. `others` are further devices, each with a process of its own, among
        which the parts of every batch are divided.
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
        self._images = TrainingImages(dataset, recipe, self.preprocessing, self.device)
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
        self._step = Step(
            recipe=recipe,
            network=self._network,
            loss=build_loss(recipe.loss, manifest.classes, self._images.num_by_class, self.device),
            preprocessing=self.preprocessing,
            average=self._average,
            multipliers_K=None if multipliers is None else torch.tensor(multipliers, device=self.device),
            micro_batch=self.micro_batch,
            device=self.device,
        )
        self._validation_NHWC = self.preprocessing.resident(dataset.validation.images, self.device)
        self._validation_labels_N = torch.tensor(dataset.validation.labels, device=self.device)
        self._accuracies: list[float] = []
        self._last_logits_NK: Tensor | None = None
        """Of the validation split, until the next epoch begins."""
        self._optimizer: torch.optim.Optimizer | None = None
        self._dataset = dataset
        self._group: ProcessGroup | None = None
        self._workers = WorkerProcesses(WORKER_MODULE, (self.device, *others)) if others else None
        if self._workers is not None:
            weakref.finalize(self, self._workers.stop)

    def __iter__(self) -> Iterator[Epoch]:
        """Trains one epoch per item. Raises DivergedError when the loss is no longer a finite number."""
        while not self.has_ended:
            number, phase_index = self.num_epochs_done + 1, self._position()[0]
            self._last_logits_NK = None
            with translate_memory_errors(self.device), self._with_workers():
                start = time.perf_counter()
                train_loss, last_learning_rate = self._train_epoch()
                trained = time.perf_counter()
                metrics = self._validate(number, last_learning_rate)
                validated = time.perf_counter()
            if self._workers is not None and self.has_ended:
                self._workers.stop()
            yield Epoch(
                number=number,
                phase=phase_index + 1,
                learning_rate=last_learning_rate,
                train_loss=train_loss,
                metrics=metrics,
                train_seconds=trained - start,
                validation_seconds=validated - trained,
                num_train_images=self._images.num_per_epoch,
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
    def has_ended(self) -> bool:
        """Whether all epochs are done, or the recipe's patience is at its end."""
        return self.num_epochs_done >= self.recipe.num_epochs or has_stalled(
            self._accuracies, self.recipe.patience
        )

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
        """What the validation of the epoch that was trained last looks like, by the logits that it
        computed.
        """
        assert self._last_logits_NK is not None, "an epoch was trained"
        probability_N, predicted_N = self._last_logits_NK.double().softmax(1).max(1)
        return Inspection.of(
            predicted_N=predicted_N.cpu().numpy(),
            probability_N=probability_N.cpu().numpy(),
            labels_N=self._validation_labels_N.cpu().numpy(),
            num_classes=self.manifest.num_classes,
            epoch=self.num_epochs_done,
        )

    def weights(self) -> dict[str, Tensor]:
        """A copy on the CPU of the state dict that is validated, the average where the recipe keeps one;
        further epochs leave it alone.
        """
        return {
            key: tensor.detach().to("cpu", copy=True) for key, tensor in self._validated.state_dict().items()
        }

    def save(self, folder: Path) -> None:
        """Writes all that the following epochs depend on into `folder`, whole or not at all."""
        TrainingState(
            recipe=self.recipe,
            dataset=self.manifest.digest,
            accuracies=self._accuracies,
            network=self._network.module.state_dict(),
            average=None if self._average is None else self._average.state_dict(),
            optimizer=None if self._optimizer is None else self._optimizer.state_dict(),
        ).write(folder)

    def load(self, folder: Path, *, with_other_values: bool = False) -> None:
        """Continues where `save` wrote into `folder`; `with_other_values`, also a training of a recipe that
        differs from this one in no more than what may change on the way (`trainables.recipe.continuation`):
        this recipe's values hold from here on.

        Raises FileNotFoundError if it did not, RecipeError if it was another recipe's training or another
        dataset's.
        """
        if self._workers is not None:
            self._workers.stop()
        state = TrainingState.read(
            folder, self.recipe, self.manifest.digest, self.device, with_other_values=with_other_values
        )
        self._network.module.load_state_dict(state.network)
        if self._average is not None and state.average is not None:
            self._average.load_state_dict(state.average)
        self._accuracies = list(state.accuracies)
        self._optimizer = None
        phase_index, epoch_of_phase = self._position()
        if epoch_of_phase > 0 and state.optimizer is not None:
            optimizer = self._enter(self.recipe.phases[phase_index])
            before = build_optimizer(state.recipe.optimizer, self._network, state.recipe.phases[phase_index])
            before.load_state_dict(state.optimizer)
            # A state dict would bring the values and groups that it was written under; what it knows of each
            # parameter moves alone.
            optimizer.state.update(before.state)

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

    def _train_epoch(self) -> tuple[float, float]:
        """One pass over the training split: mean loss, and the last step's learning rate.

        Waits for the device once, at its end.
        """
        phase_index, epoch_of_phase = self._position()
        phase, num_done, num_steps = (
            self.recipe.phases[phase_index],
            self.num_epochs_done,
            self._images.num_steps,
        )
        optimizer = self._enter(phase) if epoch_of_phase == 0 else self._optimizer
        assert optimizer is not None, "the phase has been entered"
        accuracies, progress = (
            self._accuracies[num_done - epoch_of_phase :],
            num_done / self.recipe.num_epochs,
        )
        rate = phase.learning_rate
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        with (
            seeded(self.recipe.seed, _dropout_purpose(self._group), num_done + 1, self.device),
            deterministic(self.device),
        ):
            self._network.train(self.recipe.model.batch_norm)
            for index, (images_BHWC, labels_B) in enumerate(self._images.batches(num_done)):
                rate = learning_rate(phase, epoch_of_phase * num_steps + index, num_steps, accuracies)
                set_learning_rate(optimizer, rate)
                number = num_done * num_steps + index
                loss = self._step.take(optimizer, images_BHWC, labels_B, number, progress, self._group)
                loss_sum += loss * len(labels_B)
            train_loss = loss_sum.item() / self._images.num_per_epoch
        _check_finite("training", train_loss, num_done + 1, rate)
        return train_loss, rate

    def _validate(self, number: int, last_learning_rate: float) -> Metrics:
        """The metrics of the validation split after epoch `number`, which count as that epoch's end."""
        logits_NK = self._logits(self._validation_NHWC)
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

    def _logits(self, images_NHWC: Tensor) -> Tensor:
        return logits_of(
            self._validated, self.preprocessing, images_NHWC, self.recipe.evaluation, seed=self.recipe.seed
        )


def _dropout_purpose(group: ProcessGroup | None) -> str:
    """What the seed of an epoch's dropout is derived for: each process of a group drops out other values."""
    return f"dropout of member {group.rank}" if group is not None and group.rank else "dropout"


def _check_finite(which: str, loss: float, number: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the {which} loss became {loss} in epoch {number} at learning rate {rate:g}; lower "
            "learning_rate or lengthen warmup_fraction"
        )
