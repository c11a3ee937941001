"""The training of one recipe on one dataset, as an iterator of epochs."""

import math
import statistics
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
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
from trainables.errors import DivergedError
from trainables.evaluation import logits_of, metrics_of_logits
from trainables.inspection import Inspection
from trainables.losses import build_loss
from trainables.member import Member
from trainables.memory import told_apart
from trainables.models.building import build_model
from trainables.models.catalogue import check_branches, check_recipe
from trainables.optimizers import build_optimizer, set_learning_rate
from trainables.preprocessing import Preprocessing
from trainables.randomness import seeded
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.schedules import has_stalled, learning_rate
from trainables.step import Step
from trainables.team import Team
from trainables.training_images import TrainingImages
from trainables.training_state import TrainingState

# N images, B batch, H height, W width as stored, C channels, K classes

NUM_LATENCY_TRIES = 9


class Training:
    """Trains a recipe on a dataset: iterate over it, or over what is left of it after `load`, to get its epochs.

    On one device with one number of threads, the same recipe and dataset give the same epochs bit for bit, seconds excepted, also
    across `save` and `load`. The process's random generators are neither read nor changed. Not for several threads at once. After an
    exception within an epoch (Ctrl-C, too) the weights are those of no epoch: `load` before going on.

    Raises RecipeError where recipe and dataset do not fit, WeightsError where pretrained weights cannot be had, and, also while
    iterating, MemoryExhaustedError.
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
        """`micro_batch` is how many images go through the network at once, where a batch does not fit: gradients of the parts are
        added, so that a step stays the step of the whole batch, but for BatchNorm, which sees each part by itself. `others` are
        further devices, each with a process of its own, among which the parts of every batch are divided.
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
        self._average = None if halflife is None else WeightAverage(self._network.module, halflife, self._images.num_steps)
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
        self._member: Member | None = None
        self._team = Team((self.device, *others)) if others else None
        if self._team is not None:
            weakref.finalize(self, self._team.disband)

    def __iter__(self) -> Iterator[Epoch]:
        """Trains one epoch per item. Raises DivergedError when the loss is no longer a finite number."""
        while not self.has_ended:
            with told_apart(self.device), nullcontext() if self._team is None else self._team.explained():
                if self._team is not None:
                    self._member = self._team.gathered(self.recipe, self._dataset, self.micro_batch, self.save)
                epoch = self._next_epoch()
            if self._team is not None and self.has_ended:
                self._team.disband()
            yield epoch

    def follow(self, member: Member) -> None:
        """Takes all steps that are left as another process's `member`: that one validates, and has the weights."""
        self._member = member
        while not self.has_ended:
            self._train_epoch()
            self._accuracies.append(member.told_by_first(0.0))

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

    def inspection(self) -> Inspection:
        """What the validation of the epoch that was trained last looks like, by the logits that it computed."""
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
        """A copy on the CPU of the state dict that is validated, the average where the recipe keeps one; further epochs leave it alone."""
        return {key: tensor.detach().to("cpu", copy=True) for key, tensor in self._validated.state_dict().items()}

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
        """Continues where `save` wrote into `folder`; `with_other_values`, also a training of a recipe that differs from this one in no
        more than what may change on the way (`trainables.recipe.continuation`): this recipe's values hold from here on.

        Raises FileNotFoundError if it did not, RecipeError if it was another recipe's training or another dataset's.
        """
        if self._team is not None:
            self._team.disband()
        state = TrainingState.read(folder, self.recipe, self.manifest.digest, self.device, with_other_values=with_other_values)
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
            # A state dict would bring the values and groups that it was written under; what it knows of each parameter moves alone.
            optimizer.state.update(before.state)

    def _position(self) -> tuple[int, int]:
        """Of the next epoch: index of its phase, and epochs of that phase already done."""
        epochs = self.num_epochs_done
        for index, phase in enumerate(self.recipe.phases):
            if epochs < phase.epochs:
                return index, epochs
            epochs -= phase.epochs
        return len(self.recipe.phases), 0

    def _next_epoch(self) -> Epoch:
        number, phase_index = self.num_epochs_done + 1, self._position()[0]
        self._last_logits_NK = None
        start = time.perf_counter()
        train_loss, last_learning_rate = self._train_epoch()
        trained = time.perf_counter()
        logits_NK = self._logits(self._validation_NHWC)
        metrics = metrics_of_logits(logits_NK, self._validation_labels_N)
        _check_finite("validation", metrics.log_loss, number, last_learning_rate)
        self._accuracies.append(metrics.accuracy if self._member is None else self._member.told_by_first(metrics.accuracy))
        self._last_logits_NK = logits_NK
        return Epoch(
            number=number,
            phase=phase_index + 1,
            learning_rate=last_learning_rate,
            train_loss=train_loss,
            metrics=metrics,
            train_seconds=trained - start,
            validation_seconds=time.perf_counter() - trained,
            num_train_images=self._images.num_per_epoch,
        )

    def _train_epoch(self) -> tuple[float, float]:
        """One pass over the training split: mean loss, and the last step's learning rate."""
        phase_index, epoch_of_phase = self._position()
        phase, number = self.recipe.phases[phase_index], self.num_epochs_done + 1
        if epoch_of_phase == 0:
            self._enter(phase)
        purpose = f"dropout of member {self._member.rank}" if self._member is not None and self._member.rank else "dropout"
        with seeded(self.recipe.seed, purpose, number, self.device), repeatable(self.device):
            train_loss, last_learning_rate = self._train(phase, epoch_of_phase)
        _check_finite("training", train_loss, number, last_learning_rate)
        return train_loss, last_learning_rate

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
        """Waits for the device once, at its end."""
        assert self._optimizer is not None, "the phase has been entered"
        self._network.train(self.recipe.model.batch_norm)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        rate = phase.learning_rate
        progress = self.num_epochs_done / self.recipe.num_epochs
        accuracies = self._accuracies[self.num_epochs_done - epoch_of_phase :]
        num_steps = self._images.num_steps
        for index, (images_BHWC, labels_B) in enumerate(self._images.batches(self.num_epochs_done)):
            rate = learning_rate(phase, epoch_of_phase * num_steps + index, num_steps, accuracies)
            set_learning_rate(self._optimizer, rate)
            number = self.num_epochs_done * num_steps + index
            loss = self._step.take(self._optimizer, images_BHWC, labels_B, number, progress, self._member)
            loss_sum += loss * len(labels_B)
        return loss_sum.item() / self._images.num_per_epoch, rate


def _check_finite(which: str, loss: float, number: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the {which} loss became {loss} in epoch {number} at learning rate {rate:g}; lower learning_rate or lengthen warmup_fraction"
        )
