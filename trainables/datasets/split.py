"""One split of a dataset, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images and labels of one split; the arrays are read-only views of a mapped file."""

    images: NDArray[np.uint8]
    """(N, H, W, C)"""
    labels: NDArray[np.int64]
    """(N,), indices into the manifest's classes"""
    groups: NDArray[np.int64] | None = None
    """(N,) numbers, equal for images of one group (a person, a film) and distinct for images of none; None
    where the dataset has no groups"""

    def __len__(self) -> int:
        return len(self.labels)
