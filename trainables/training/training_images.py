"""The images that a training learns from: which of the training split, where they lie, and in which order an
epoch shows them.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.datasets.dataset import Dataset
from trainables.errors import RecipeError
from trainables.feature_cache.feature_file import Features
from trainables.models.network import Network
from trainables.recipe.data import Data
from trainables.recipe.tree import Recipe
from trainables.training.image_order import epoch_order, kept_images, random_crops
from trainables.transforms.image_stream import on_device
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width as stored, C channels


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What a step trains on."""

    images_BHWC: Tensor
    """uint8; in their place features, where the step has some of each image."""
    labels_B: Tensor
    positions_B: Tensor
    """Of the images among the kept ones."""


class TrainingImages:
    """The kept images of a training split, resident on a device or streamed to it."""

    def __init__(
        self,
        dataset: Dataset,
        recipe: Recipe,
        preprocessing: Preprocessing,
        device: torch.device,
        *,
        is_streamed: bool = False,
    ) -> None:
        self._recipe = recipe
        self._device = device
        dataset.manifest.check_crop(recipe.data.smallest_crop)
        rows, labels_N = _kept(dataset, recipe)
        self.num_by_class: list[int] = np.bincount(labels_N, minlength=dataset.manifest.num_classes).tolist()
        self.num_per_epoch = _num_per_epoch(epoch_size(len(labels_N), recipe.data), recipe.batch_size)
        self.num_steps = math.ceil(self.num_per_epoch / recipe.batch_size)
        """Of an epoch."""
        self._rows = rows
        self.labels_N = torch.tensor(labels_N)
        """Of the kept images, on the CPU."""
        self.images = on_device(
            dataset.train,
            preprocessing,
            device,
            # Random rectangles of the files are decoded anew in each epoch.
            is_streamed=is_streamed or recipe.data.smallest_crop is not None,
            rows=rows,
        )
        self._labels_N = self.labels_N.to(device)

    def __len__(self) -> int:
        return len(self._labels_N)

    @property
    def rows_digest(self) -> str | None:
        """Of which images of the training split are kept; None where all are."""
        return None if self._rows is None else hashlib.sha256(self._rows.tobytes()).hexdigest()

    def batches(self, epoch: int, first_step: int = 0, features: Features | None = None) -> Iterator[Batch]:
        """The batch of each step of an epoch from `first_step` on; both are counted from 0. Images last
        until the next step is asked for. With `features` of the kept images, those take the images' place.
        """
        order, size = self._order(epoch), self._recipe.batch_size
        batches = order.to(self._device).split(size)[first_step:]
        if features is not None:
            found = order.to(features.place).split(size)[first_step:]
            for positions_B, chosen_B in zip(found, batches, strict=True):
                yield self._batch(features.at(positions_B), chosen_B)
            return
        if isinstance(self.images, Tensor):
            for chosen_B in batches:
                yield self._batch(self.images[chosen_B], chosen_B)
            return
        crops = self._crops(epoch)
        streamed = self.images.batches(
            order.split(size)[first_step:], None if crops is None else crops[first_step:]
        )
        for images_BHWC, chosen_B in zip(streamed, batches, strict=True):
            yield self._batch(images_BHWC, chosen_B)

    def _batch(self, images_BHWC: Tensor, chosen_B: Tensor) -> Batch:
        return Batch(images_BHWC=images_BHWC, labels_B=self._labels_N[chosen_B], positions_B=chosen_B)

    def check_batches(self, network: Network) -> None:
        """Raises RecipeError where the network has BatchNorm that would have to train on a single image."""
        recipe = self._recipe
        is_single = min(recipe.batch_size, len(self)) == 1
        if is_single and recipe.model.batch_norm != "eval_all" and network.batch_norm_layers():
            raise RecipeError(
                f"BatchNorm needs at least 2 images per batch, got batch_size {recipe.batch_size} on "
                f"{len(self)} images; "
                "raise batch_size or set batch_norm to eval_all"
            )

    def _crops(self, epoch: int) -> list[NDArray[np.float64]] | None:
        """The rectangle of each image of each batch; drawn on the CPU, as the order is. None for none."""
        smallest, size = self._recipe.data.smallest_crop, self._recipe.batch_size
        if smallest is None:
            return None
        crops = random_crops(self.num_per_epoch, smallest, self._recipe.seed, epoch)
        return [crops[start : start + size] for start in range(0, len(crops), size)]

    def _order(self, epoch: int) -> Tensor:
        """Indices of the epoch's images; drawn on the CPU, so that every device sees the same order."""
        size = epoch_size(len(self), self._recipe.data)
        first_pass, skipped = divmod(epoch * size, len(self))
        order = self._pass_order(first_pass)
        if skipped + size > len(self):
            order = torch.cat([order, self._pass_order(first_pass + 1)])
        return order[skipped : skipped + self.num_per_epoch]

    def _pass_order(self, number: int) -> Tensor:
        return epoch_order(self.labels_N, self._recipe.data.sampler_power, self._recipe.seed, number)


def epoch_size(num_images: int, data: Data) -> int:
    """How many of `num_images` an epoch shows."""
    return min(num_images, data.epoch_images or num_images)


def _kept(dataset: Dataset, recipe: Recipe) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Rows that the recipe trains on, None for all, and their labels (N,)."""
    labels_N = dataset.train.labels
    if recipe.data.train_images is None:
        return None, labels_N
    kept = kept_images(labels_N, recipe.data.train_images, dataset.manifest.num_classes)
    return kept, labels_N[kept]


def _num_per_epoch(num_images: int, batch_size: int) -> int:
    """All, except one that would be a batch of its own: BatchNorm cannot train on a single image."""
    return (
        num_images - 1 if batch_size > 1 and num_images % batch_size == 1 and num_images > 1 else num_images
    )
