"""Which images of the training split are trained on, in which order, and which rectangles of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.devices.randomness import generator
from trainables.errors import RecipeError

# N images, K classes

CPU = torch.device("cpu")
WIDEST_CROP = 4 / 3
"""Width by height."""
KEPT_SEED = 0
"""Not the recipe's: all recipes that keep as many images of a dataset keep the same ones."""


def kept_images(labels_N: NDArray[np.int64], num_kept: int | None, num_classes: int) -> NDArray[np.int64]:
    """Sorted indices of `num_kept` images, a fixed draw that keeps the shares of the classes; None keeps all.

    Shares are rounded by largest remainder; each class that has images keeps one at least, unless there are
    more such classes than `num_kept`. Of each class, a smaller number of images is part of a larger one.
    Raises RecipeError if there are fewer than `num_kept`.
    """
    num_images = len(labels_N)
    if num_kept is None:
        return np.arange(num_images, dtype=np.int64)
    if num_kept > num_images:
        raise RecipeError(
            f"train_images must be at most the {num_images} images of the training split, got {num_kept}; "
            "lower it or leave it out"
        )
    num_kept_K = _allotted(np.bincount(labels_N, minlength=num_classes).astype(np.int64), num_kept)
    kept = [
        _shuffled(np.flatnonzero(labels_N == label), label)[:num]
        for label, num in enumerate(num_kept_K.tolist())
    ]
    return np.sort(np.concatenate(kept))


def epoch_order(labels_N: Tensor, sampler_power: float, seed: int, epoch: int) -> Tensor:
    """Indices (N,) int64 on the CPU of one epoch's images; `labels_N` lie there too.

    At power 0 each image comes once; above it N images are drawn with repeats, those of a class of n with a
    chance in proportion to n ** -power. The order follows from seed and epoch.
    """
    drawing = generator(CPU, seed, "order", epoch)
    if not sampler_power:
        return torch.randperm(len(labels_N), generator=drawing)
    chances_K = labels_N.bincount().double() ** -sampler_power
    return torch.multinomial(chances_K[labels_N], len(labels_N), replacement=True, generator=drawing)


def random_crops(num_images: int, smallest: float, seed: int, epoch: int) -> NDArray[np.float64]:
    """A rectangle for each image of an epoch, (N, 4) as `Crop` has them, of a share of its area from
    `smallest` to 1 and of 3:4 to 4:3, anywhere in it. They follow from seed and epoch.

    As `torchvision.transforms.RandomResizedCrop`, which however draws anew where one does not fit; here it is
    cut to the image.
    """
    uniform_N4 = torch.rand(num_images, 4, generator=generator(CPU, seed, "crop", epoch), dtype=torch.float64)
    crops_N4: NDArray[np.float64] = uniform_N4.numpy()
    crops_N4[:, 0] = smallest + (1 - smallest) * crops_N4[:, 0]
    crops_N4[:, 1] = WIDEST_CROP ** (2 * crops_N4[:, 1] - 1)
    return crops_N4


def _allotted(num_by_class_K: NDArray[np.int64], num_kept: int) -> NDArray[np.int64]:
    """How many images each class keeps."""
    num_images = num_by_class_K.sum()
    num_kept_K, remainder_K = np.divmod(num_kept * num_by_class_K, num_images)
    largest = np.argsort(-remainder_K, kind="stable")[: num_kept - num_kept_K.sum()]
    num_kept_K[largest] += 1
    if num_kept >= np.count_nonzero(num_by_class_K):
        for label in np.flatnonzero((num_kept_K == 0) & (num_by_class_K > 0)):
            above_share_K = num_kept_K * num_images - num_kept * num_by_class_K
            giver = np.where(num_kept_K > 1, above_share_K, np.iinfo(np.int64).min).argmax()
            num_kept_K[giver] -= 1
            num_kept_K[label] = 1
    return num_kept_K


def _shuffled(indices_N: NDArray[np.int64], label: int) -> NDArray[np.int64]:
    order_N = torch.randperm(len(indices_N), generator=generator(CPU, KEPT_SEED, "kept", label))
    sorted_N: NDArray[np.int64] = indices_N[order_N.numpy()]
    return sorted_N
