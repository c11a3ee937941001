"""The training of one recipe on one dataset, as an iterator of epochs."""

import math
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.augmentation.changing import strength_multipliers
from trainables.averaging import WeightAverage
from trainables.datasets.dataset import Dataset
from trainables.device import find_device, repeatable
from trainables.epoch import Epoch
from trainables.errors import DivergedError, RecipeError
from trainables.evaluation import logits_of, metrics_of_logits
from trainables.losses import build_loss
from trainables.memory import told_apart
from trainables.models.building import build_model
from trainables.models.catalogue import check_branches, check_recipe
from trainables.models.network import Network
from trainables.optimizers import build_optimizer, set_learning_rate
from trainables.preprocessing import Preprocessing
from trainables.randomness import seeded
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.sampling import epoch_order, kept_images
from trainables.schedules import has_stalled, learning_rate
from trainables.step import Step

# N images, B batch, H height, W width as stored, C channels, K classes

STATE_FILE = "training.pt"
NUM_LATENCY_TRIES = 9
CPU = torch.device("cpu")


class Training:
    """Trains a recipe on a dataset: iterate over it, or over what is left of it after `load`, to get its epochs.

    On one device with one number of threads, the same recipe and dataset give the same epochs bit for bit, seconds excepted, also
    across `save` and `load`. The process's random generators are neither read nor changed. Not for several threads at once. After an
    exception within an epoch (Ctrl-C, too) the weights are those of no epoch: `load` before going on.

    Raises RecipeError where recipe and dataset do not fit, WeightsError where pretrained weights cannot be had, and, also while
    iterating, MemoryExhaustedError.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, *, device: torch.device | None = None, micro_batch: int | None = None) -> None:
        """`micro_batch` is how many images go through the network at once, where a batch does not fit: gradients of the parts are
        added, so that a step stays the step of the whole batch, but for BatchNorm, which sees each part by itself."""
        manifest = dataset.manifest
        check_recipe(recipe)
        check_branches(recipe.model.head, manifest.classes)
        self.recipe = recipe
        self.manifest = manifest
        self.micro_batch = min(micro_batch or recipe.batch_size, recipe.batch_size)
        self.device = device or find_device()
        images_NHWC, labels_N = _kept(dataset, recipe)
        num_by_class = np.bincount(labels_N, minlength=manifest.num_classes).tolist()
        self._num_images_per_epoch = _num_images_per_epoch(len(labels_N), recipe.batch_size)
        self._num_steps = math.ceil(self._num_images_per_epoch / recipe.batch_size)
        self._network = build_model(
            recipe.model,
            num_classes=manifest.num_classes,
            channels=manifest.channels,
            image_size=recipe.data.image_size,
            seed=recipe.seed,
            normalisation=recipe.data.normalisation,
        )
        _check_batches(self._network, recipe, len(labels_N))
        self._network.module.to(self.device).to(memory_format=torch.channels_last)
        self._average = _average(self._network, recipe, self._num_steps)
        self.preprocessing = Preprocessing.of(recipe, manifest)
        multipliers = strength_multipliers(recipe.augmentation, num_by_class)
        self._step = Step(
            recipe=recipe,
            network=self._network,
            loss=build_loss(recipe.loss, manifest.classes, num_by_class, self.device),
            preprocessing=self.preprocessing,
            average=self._average,
            multipliers_K=None if multipliers is None else torch.tensor(multipliers, device=self.device),
            micro_batch=self.micro_batch,
            device=self.device,
        )
        self._order_labels_N = torch.tensor(labels_N)
        self._train_NHWC = self.preprocessing.resident(images_NHWC, self.device)
        self._train_labels_N = self._order_labels_N.to(self.device)
        self._validation_NHWC = self.preprocessing.resident(dataset.validation.images, self.device)
        self._validation_labels_N = torch.tensor(dataset.validation.labels, device=self.device)
        self._accuracies: list[float] = []
        self._optimizer: torch.optim.Optimizer | None = None

    def __iter__(self) -> Iterator[Epoch]:
        """Trains one epoch per item. Raises DivergedError when the loss is no longer a finite number."""
        while not self.has_ended:
            with told_apart(self.device):
                epoch = self._next_epoch()
            yield epoch

    @property
    def num_epochs_done(self) -> int:
        """Epochs finished so far, those before `load` included."""
        return len(self._accuracies)

    @property
    def has_ended(self) -> bool:
        """Whether all epochs are done, or the recipe's patience is at its end."""
        return self.num_epochs_done >= self.recipe.num_epochs or has_stalled(self._accuracies, self.recipe.patience)

    @property
    def num_parameters(self) -> int:
        """Numbers that the network consists of."""
        return sum(parameter.numel() for parameter in self._network.module.parameters())

    def latency_seconds(self) -> float:
        """How long the network takes for one image of the validation split, asked as in validation: the median of a few times."""
        one_NHWC, times = self._validation_NHWC[:1], []
        for _ in range(NUM_LATENCY_TRIES):
            start = time.perf_counter()
            self._logits(one_NHWC).cpu()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def predict(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of uint8 images (N, H, W, C) of the dataset's size, by the weights of now."""
        resident_NHWC = self.preprocessing.resident(images_NHWC, self.device)
        logits_NK = self._logits(resident_NHWC)
        return logits_NK.softmax(1).cpu().numpy()

    def weights(self) -> dict[str, Tensor]:
        """A copy on the CPU of the state dict that is validated, the average where the recipe keeps one; further epochs leave it alone."""
        return {key: tensor.detach().to("cpu", copy=True) for key, tensor in self._validated.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Writes all that the following epochs depend on into `folder`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "recipe": self.recipe.to_dict(),
            "dataset": self.manifest.digest,
            "accuracies": self._accuracies,
            "network": self._network.module.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "optimizer": None if self._optimizer is None else self._optimizer.state_dict(),
        }
        unfinished = folder / f"{STATE_FILE}.{os.getpid()}"
        torch.save(state, unfinished)
        unfinished.replace(folder / STATE_FILE)

    def load(self, folder: Path) -> None:
        """Continues where `save` wrote into `folder`.

        Raises FileNotFoundError if it did not, RecipeError if it was another recipe's training or another dataset's.
        """
        state = torch.load(folder / STATE_FILE, map_location=self.device, weights_only=True)
        if state["recipe"] != self.recipe.to_dict() or state["dataset"] != self.manifest.digest:
            raise RecipeError(
                f"{folder} must hold a training of this recipe on this dataset, and holds another; give another folder or remove it"
            )
        self._network.module.load_state_dict(state["network"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._accuracies = list(state["accuracies"])
        self._optimizer = None
        phase_index, epoch_of_phase = self._position()
        if epoch_of_phase > 0:
            self._enter(self.recipe.phases[phase_index]).load_state_dict(state["optimizer"])

    def _position(self) -> tuple[int, int]:
        """Of the next epoch: index of its phase, and epochs of that phase already done."""
        epochs = self.num_epochs_done
        for index, phase in enumerate(self.recipe.phases):
            if epochs < phase.epochs:
                return index, epochs
            epochs -= phase.epochs
        return len(self.recipe.phases), 0

    def _next_epoch(self) -> Epoch:
        phase_index, epoch_of_phase = self._position()
        phase, number = self.recipe.phases[phase_index], self.num_epochs_done + 1
        if epoch_of_phase == 0:
            self._enter(phase)
        start = time.perf_counter()
        with seeded(self.recipe.seed, "dropout", number, self.device), repeatable(self.device):
            train_loss, last_learning_rate = self._train(phase, epoch_of_phase)
        trained = time.perf_counter()
        _check_finite("training", train_loss, number, last_learning_rate)
        metrics = metrics_of_logits(self._logits(self._validation_NHWC), self._validation_labels_N)
        _check_finite("validation", metrics.log_loss, number, last_learning_rate)
        self._accuracies.append(metrics.accuracy)
        return Epoch(
            number=number,
            phase=phase_index + 1,
            learning_rate=last_learning_rate,
            train_loss=train_loss,
            metrics=metrics,
            train_seconds=trained - start,
            validation_seconds=time.perf_counter() - trained,
            num_train_images=self._num_images_per_epoch,
        )

    def _enter(self, phase: Phase) -> torch.optim.Optimizer:
        self._network.prepare(phase)
        self._optimizer = build_optimizer(self.recipe.optimizer, self._network, phase)
        return self._optimizer

    @property
    def _validated(self) -> nn.Module:
        return self._network.module if self._average is None else self._average.module

    def _logits(self, images_NHWC: Tensor) -> Tensor:
        return logits_of(self._validated, self.preprocessing, images_NHWC, self.recipe.evaluation, seed=self.recipe.seed)

    def _train(self, phase: Phase, epoch_of_phase: int) -> tuple[float, float]:
        """One pass over the training split: mean loss, and the last step's learning rate. Waits for the device once, at its end."""
        assert self._optimizer is not None, "the phase has been entered"
        self._network.train(self.recipe.model.batch_norm)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        rate = phase.learning_rate
        progress = self.num_epochs_done / self.recipe.num_epochs
        accuracies = self._accuracies[self.num_epochs_done - epoch_of_phase :]
        for index, chosen_B in enumerate(self._order().split(self.recipe.batch_size)):
            rate = learning_rate(phase, epoch_of_phase * self._num_steps + index, self._num_steps, accuracies)
            set_learning_rate(self._optimizer, rate)
            images_BHWC, labels_B = self._train_NHWC[chosen_B], self._train_labels_N[chosen_B]
            loss = self._step.take(self._optimizer, images_BHWC, labels_B, self.num_epochs_done * self._num_steps + index, progress)
            loss_sum += loss * len(chosen_B)
        return loss_sum.item() / self._num_images_per_epoch, rate

    def _order(self) -> Tensor:
        """Indices of the epoch's images; drawn on the CPU, so that every device sees the same order."""
        order_N = epoch_order(self._order_labels_N, self.recipe.data.sampler_power, self.recipe.seed, self.num_epochs_done)
        return order_N[: self._num_images_per_epoch].to(self.device)


def _kept(dataset: Dataset, recipe: Recipe) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, H, W, C) and labels (N,) that the recipe trains on; without a limit they are the mapped ones, not a copy."""
    images_NHWC, labels_N = dataset.train.images, dataset.train.labels
    if recipe.data.train_images is None:
        return images_NHWC, labels_N
    kept = kept_images(labels_N, recipe.data.train_images, dataset.manifest.num_classes)
    return images_NHWC[kept], labels_N[kept]


def _average(network: Network, recipe: Recipe, steps_per_epoch: int) -> WeightAverage | None:
    halflife = recipe.optimizer.average_halflife
    return None if halflife is None else WeightAverage(network.module, halflife, steps_per_epoch)


def _num_images_per_epoch(num_images: int, batch_size: int) -> int:
    """All, except one that would be a batch of its own: BatchNorm cannot train on a single image."""
    return num_images - 1 if batch_size > 1 and num_images % batch_size == 1 and num_images > 1 else num_images


def _check_batches(network: Network, recipe: Recipe, num_images: int) -> None:
    is_single = min(recipe.batch_size, num_images) == 1
    if is_single and recipe.model.batch_norm != "eval_all" and network.batch_norm_layers():
        raise RecipeError(
            f"BatchNorm needs at least 2 images per batch, got batch_size {recipe.batch_size} on {num_images} images; "
            "raise batch_size or set batch_norm to eval_all"
        )


def _check_finite(which: str, loss: float, number: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the {which} loss became {loss} in epoch {number} at learning rate {rate:g}; lower learning_rate or lengthen warmup_fraction"
        )
