"""One split of a dataset, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.image_file import ImageFile

SPLITS = ("train", "validation", "test")

StoredImages = NDArray[np.uint8] | EncodedImages
"""Pixels (N, H, W, C) of images of one size, or N encoded images of any size."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images and labels of one split; the arrays are read-only views of a mapped file."""

    images: StoredImages
    labels: NDArray[np.int64]
    """(N,), indices into the manifest's classes"""
    groups: NDArray[np.int64] | None = None
    """(N,) numbers, equal for images of one group (a person, a film) and distinct for images of none; None
    where the dataset has no groups"""

    file: ImageFile | None = None
    """Where the images can be read without mapping them; None for a split in memory"""

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Pixels (H, W, C) of one image."""
        if isinstance(self.images, EncodedImages):
            return self.images.pixels(row)
        pixels: NDArray[np.uint8] = self.images[row]
        return pixels
