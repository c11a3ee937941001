"""The training of one recipe once for each fold of a dataset, as one iterator of epochs."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from statistics import fmean, stdev
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from trainables.atomic import atomic_file
from trainables.datasets.folds import FoldedDataset
from trainables.devices.device import find_device
from trainables.devices.memory import room_for_images
from trainables.devices.tensor_files import load_plain
from trainables.errors import DivergedError
from trainables.inference.fold_models import fold_recipe, joined_weights
from trainables.metrics.classification import METRICS, Metrics
from trainables.metrics.inspection import Inspection
from trainables.recipe.tree import Recipe
from trainables.training.epoch import Epoch
from trainables.training.loop import Training, num_image_bytes
from trainables.training.phase_features import FeatureUse
from trainables.training.stopwatch import added
from trainables.training.training_state import TrainingState

# N images of train and validation

STATE_FILE = "folds.pt"


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldsState:
    """All that the following epochs of a `CrossValidation` depend on."""

    folds: Sequence[TrainingState]
    last: Sequence[Epoch]
    """The last epoch of each fold; empty before the first."""
    trained: Mapping[int, Epoch]
    """By fold, of the epoch under way."""

    def write(self, folder: Path) -> None:
        """Writes it into `folder`, whole or not at all."""
        with atomic_file(folder / STATE_FILE) as unfinished, unfinished.open("wb") as file:
            self.write_to(file)

    def write_to(self, file: IO[bytes]) -> None:
        """Writes it at the place of an open file."""
        tree = {
            "folds": [state.to_dict() for state in self.folds],
            "last": [epoch.to_dict() for epoch in self.last],
            "trained": {fold: epoch.to_dict() for fold, epoch in self.trained.items()},
        }
        torch.save(tree, file)

    @classmethod
    def read(cls, folder: Path, device: torch.device) -> "FoldsState":
        """What `write` wrote. Raises FileNotFoundError, or WeightsError for a damaged file."""
        tree = load_plain(folder / STATE_FILE, device)
        return cls(
            folds=[TrainingState.from_dict(state) for state in tree["folds"]],
            last=[Epoch.from_dict(epoch) for epoch in tree["last"]],
            trained={fold: Epoch.from_dict(epoch) for fold, epoch in tree["trained"].items()},
        )

    def copied(self) -> "FoldsState":
        """The same state in memory of its own on the CPU, which further steps leave alone."""
        return replace(
            self,
            folds=[state.copied() for state in self.folds],
            last=list(self.last),
            trained=dict(self.trained),
        )


class CrossValidation:
    """Trains a recipe as many times as there are folds, each time validated on another fold: iterate over it
    as over a `Training`, one epoch of every fold per item.

    An epoch's metrics are means over folds; its counts and its metrics of single classes are those of all
    images together, each as the network saw it that was not trained on it. Seconds are sums. Patience and
    schedules act for each fold by itself: a fold that has ended keeps its weights and its last metrics, and
    the whole has ended with the last fold. All networks are in memory at once.

    As reproducible as a `Training`, across `save` and `load` too. Raises what a `Training` raises.
    """

    def __init__(
        self,
        recipe: Recipe,
        folded: FoldedDataset,
        *,
        device: torch.device | None = None,
        micro_batch: int | None = None,
        is_streamed: bool | None = None,
        reuses_features: bool | None = None,
    ) -> None:
        """`micro_batch`, `is_streamed` and `reuses_features` are as `Training` has them."""
        self.recipe = recipe
        self.manifest = folded.dataset.manifest
        self.device = device or find_device()
        self._folded = folded
        if is_streamed is None:
            num_bytes = sum(num_image_bytes(recipe, dataset) for dataset in folded.datasets)
            is_streamed = num_bytes > room_for_images(self.device)
        self.is_streamed = is_streamed
        self._trainings = tuple(
            Training(
                fold_recipe(recipe, fold),
                dataset,
                device=self.device,
                micro_batch=micro_batch,
                is_streamed=is_streamed,
                reuses_features=reuses_features,
            )
            for fold, dataset in enumerate(folded.datasets)
        )
        self.micro_batch = self._trainings[0].micro_batch
        self._last: list[Epoch] = []
        """The last epoch of each fold; empty before the first."""
        self._trained: dict[int, Epoch] = {}
        """By fold, of the epoch under way."""

    def __iter__(self) -> Iterator[Epoch]:
        """Trains one epoch of each fold that has not ended per item. Raises DivergedError when the loss of
        one is no longer a finite number.
        """
        while not self.has_ended:
            epoch = self.advance(math.inf)
            assert epoch is not None, "without a limit an epoch comes to its end"
            yield epoch

    def advance(self, seconds: float) -> Epoch | None:
        """Trains to the end of the epoch of all folds, or for about `seconds`, as `Training.advance` does."""
        deadline, has_moved = time.perf_counter() + seconds, False
        for fold, training in enumerate(self._trainings):
            if fold in self._trained or training.has_ended:
                continue
            left = deadline - time.perf_counter()
            if left <= 0 and has_moved:
                return None
            epoch, has_moved = self._advance(fold, left), True
            if epoch is None:
                return None
            self._trained[fold] = epoch
        trained = [self._trained[fold] for fold in sorted(self._trained)]
        self._last = [self._trained.get(fold) or last for fold, last in enumerate(self._last or trained)]
        self._trained = {}
        return _mean(self._last, trained)

    @property
    def num_epochs_done(self) -> int:
        """Epochs of the fold that has come farthest, those before `load` included."""
        return max((epoch.number for epoch in self._last), default=0)

    @property
    def share_of_epoch(self) -> float:
        """How much of the epoch under way is trained, of all folds together, in [0, 1); 0 between epochs."""
        left = [training.share_of_epoch for training in self._left_in_epoch]
        return (len(self._trained) + sum(left)) / max(len(self._trained) + len(left), 1)

    @property
    def num_train_images(self) -> int:
        """Images that an epoch of the folds that go on trains on."""
        before = sum(epoch.num_train_images for epoch in self._trained.values())
        return before + sum(training.num_train_images for training in self._left_in_epoch)

    @property
    def has_ended(self) -> bool:
        """Whether every fold has ended."""
        return not self._trained and all(training.has_ended for training in self._trainings)

    @property
    def feature_use(self) -> FeatureUse | None:
        """What the network of the first fold does about its frozen layers, as `Training.feature_use` has
        it.
        """
        return self._trainings[0].feature_use

    @property
    def num_parameters(self) -> int:
        """Numbers that the networks of all folds consist of, which are one model together."""
        return sum(training.num_parameters for training in self._trainings)

    def latency_seconds(self) -> float:
        """How long the networks of all folds take for one image, one after the other."""
        return sum(training.latency_seconds() for training in self._trainings)

    def inspection(self) -> Inspection:
        """What the epoch that was trained last looks like on all N images, each by the network that was not
        trained on it; positions are those among the N.
        """
        positions = [self._folded.positions(fold) for fold in range(len(self._trainings))]
        predicted, probability = zip(*(training.predicted() for training in self._trainings), strict=True)
        order = np.argsort(np.concatenate(positions))
        labels = [dataset.validation.labels for dataset in self._folded.datasets]
        return Inspection.of(
            predicted_N=np.concatenate(predicted)[order],
            probability_N=np.concatenate(probability)[order],
            labels_N=np.concatenate(labels)[order],
            num_classes=self.manifest.num_classes,
            epoch=self.num_epochs_done,
        )

    def weights(self) -> dict[str, Tensor]:
        """A copy on the CPU of the weights of all folds, as `fold_ensemble` takes them."""
        return joined_weights([training.weights() for training in self._trainings])

    def save(self, folder: Path) -> None:
        """Writes all that the following epochs depend on into `folder`, whole or not at all."""
        self.state.write(folder)

    @property
    def state(self) -> FoldsState:
        """All that the following epochs depend on; it shares its tensors with this training."""
        return FoldsState(
            folds=[training.state for training in self._trainings], last=self._last, trained=self._trained
        )

    def load(self, folder: Path, *, with_other_values: bool = False) -> None:
        """Continues where `save` wrote into `folder`, as `Training.load` does.

        Raises FileNotFoundError if it did not, RecipeError if that was another recipe, dataset or number of
        folds.
        """
        state = FoldsState.read(folder, self.device)
        for one, training in zip(state.folds, self._trainings, strict=False):
            # The digest says of how many folds it is.
            digest = training.manifest.digest
            one.check(folder, training.recipe, digest, with_other_values=with_other_values)
        for one, training in zip(state.folds, self._trainings, strict=True):
            training.restore(one)
        self._last, self._trained = list(state.last), dict(state.trained)

    @property
    def _left_in_epoch(self) -> list[Training]:
        """Those that have not come to the end of the epoch under way, and do not lie behind their own."""
        return [
            training
            for fold, training in enumerate(self._trainings)
            if fold not in self._trained and not training.has_ended
        ]

    def _advance(self, fold: int, seconds: float) -> Epoch | None:
        try:
            return self._trainings[fold].advance(seconds)
        except DivergedError as error:
            raise DivergedError(f"in fold {fold + 1} of {len(self._trainings)}, {error}") from error


def _mean(last: list[Epoch], trained: list[Epoch]) -> Epoch:
    """The epoch of all folds, of which some were trained now and the others had ended."""
    by_fold = [epoch.metrics for epoch in last]
    values = {name: [getattr(metrics, name) for metrics in by_fold] for name in METRICS}
    means: dict[str, Any] = {name: fmean(each) for name, each in values.items()}
    return Epoch(
        number=trained[0].number,
        phase=trained[0].phase,
        learning_rate=fmean(epoch.learning_rate for epoch in trained),
        train_loss=fmean(epoch.train_loss for epoch in last),
        metrics=replace(_pooled(by_fold), **means),
        train_seconds=sum(epoch.train_seconds for epoch in trained),
        validation_seconds=sum(epoch.validation_seconds for epoch in trained),
        num_train_images=sum(epoch.num_train_images for epoch in trained),
        spans=reduce(added, (epoch.spans for epoch in trained)),
        deviations={name: stdev(each) for name, each in values.items()},
    )


def _pooled(by_fold: list[Metrics]) -> Metrics:
    """Of all images together."""
    confusion_KK = np.sum([metrics.confusion for metrics in by_fold], axis=0)
    return Metrics.from_counts(
        confusion_KK, sum(metrics.log_loss * metrics.num_images for metrics in by_fold)
    )
