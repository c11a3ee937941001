"""The images that a training learns from: which of the training split, where they lie, and in which order an
epoch shows them.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.datasets.dataset import Dataset
from trainables.errors import RecipeError
from trainables.models.network import Network
from trainables.recipe.tree import Recipe
from trainables.training.image_order import epoch_order, kept_images
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width as stored, C channels


class TrainingImages:
    """The kept images of a training split, resident on a device."""

    def __init__(
        self, dataset: Dataset, recipe: Recipe, preprocessing: Preprocessing, device: torch.device
    ) -> None:
        self._recipe = recipe
        self._device = device
        images_NHWC, labels_N = _kept(dataset, recipe)
        self.num_by_class: list[int] = np.bincount(labels_N, minlength=dataset.manifest.num_classes).tolist()
        self.num_per_epoch = _num_per_epoch(len(labels_N), recipe.batch_size)
        self.num_steps = math.ceil(self.num_per_epoch / recipe.batch_size)
        """Of an epoch."""
        self._order_labels_N = torch.tensor(labels_N)
        self._images_NHWC = preprocessing.resident(images_NHWC, device)
        self._labels_N = self._order_labels_N.to(device)

    def __len__(self) -> int:
        return len(self._labels_N)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (B, H, W, C) uint8 and labels (B,) of each step of an epoch, counted from 0."""
        for chosen_B in self._order(epoch).split(self._recipe.batch_size):
            yield self._images_NHWC[chosen_B], self._labels_N[chosen_B]

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

    def _order(self, epoch: int) -> Tensor:
        """Indices of the epoch's images; drawn on the CPU, so that every device sees the same order."""
        order_N = epoch_order(self._order_labels_N, self._recipe.data.sampler_power, self._recipe.seed, epoch)
        return order_N[: self.num_per_epoch].to(self._device)


def _kept(dataset: Dataset, recipe: Recipe) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, H, W, C) and labels (N,) that the recipe trains on; without a limit they are the mapped
    ones, not a copy.
    """
    images_NHWC, labels_N = dataset.train.images, dataset.train.labels
    if recipe.data.train_images is None:
        return images_NHWC, labels_N
    kept = kept_images(labels_N, recipe.data.train_images, dataset.manifest.num_classes)
    return images_NHWC[kept], labels_N[kept]


def _num_per_epoch(num_images: int, batch_size: int) -> int:
    """All, except one that would be a batch of its own: BatchNorm cannot train on a single image."""
    return (
        num_images - 1 if batch_size > 1 and num_images % batch_size == 1 and num_images > 1 else num_images
    )
