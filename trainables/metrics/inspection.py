"""What a network's opinion on the validation split looks like: small enough to keep, enough to draw pictures
of.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.atomic import atomic_file
from trainables.metrics.calibration import bins_of, error_of_bins

# N images, K classes, B bins, M mistakes

MAX_MISTAKES = 24


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Counts and the most confident mistakes of one network on one split."""

    epoch: int
    confusion_KK: NDArray[np.int64]
    """Images by true class (rows) and predicted class."""
    num_B: NDArray[np.int64]
    """Images by the probability of their most probable class, in 15 bins of equal width."""
    num_right_B: NDArray[np.int64]
    confidence_B: NDArray[np.float64]
    """Sums of that probability."""
    image_M: NDArray[np.int64]
    """Positions, in the split, of the images that were wrong with the highest probability, at most 24, the
    worst first."""
    predicted_M: NDArray[np.int64]
    true_M: NDArray[np.int64]
    probability_M: NDArray[np.float64]
    """Of the predicted class."""

    @classmethod
    def of(
        cls,
        *,
        predicted_N: NDArray[np.int64],
        probability_N: NDArray[np.float64],
        labels_N: NDArray[np.int64],
        num_classes: int,
        epoch: int,
    ) -> "Inspection":
        """The inspection of predicted classes, with the probability that each was given, against labels."""
        is_right_N = predicted_N == labels_N
        confusion_KK = np.bincount(labels_N * num_classes + predicted_N, minlength=num_classes**2).reshape(
            num_classes, num_classes
        )
        num_B, num_right_B, confidence_B = bins_of(probability_N, is_right_N)
        image_M = np.argsort(np.where(is_right_N, 0.0, -probability_N), kind="stable")[
            : min(MAX_MISTAKES, int((~is_right_N).sum()))
        ]
        return cls(
            epoch=epoch,
            confusion_KK=confusion_KK,
            num_B=num_B,
            num_right_B=num_right_B,
            confidence_B=confidence_B,
            image_M=image_M,
            predicted_M=predicted_N[image_M],
            true_M=labels_N[image_M],
            probability_M=probability_N[image_M],
        )

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, as `trainables.metrics.calibration` has it."""
        return error_of_bins(self.num_B, self.num_right_B, self.confidence_B)

    def save(self, file: Path) -> None:
        """Writes it, whole or not at all."""
        with atomic_file(file) as unfinished, unfinished.open("wb") as opened:
            np.savez(opened, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, file: Path) -> "Inspection":
        """What `save` wrote. Raises FileNotFoundError."""
        with np.load(file, allow_pickle=False) as stored:
            arrays = {field.name: stored[field.name] for field in fields(cls)}
        return cls(**{**arrays, "epoch": int(arrays["epoch"])})
