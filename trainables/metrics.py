"""How well predictions agree with labels, computed from counts pooled over a whole split, as scikit-learn defines it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# K classes

METRICS: Mapping[str, Literal["maximise", "minimise"]] = MappingProxyType(
    {
        "accuracy": "maximise",
        "balanced_accuracy": "maximise",
        "macro_f1": "maximise",
        "log_loss": "minimise",
        "kappa": "maximise",
        "worst_class_recall": "maximise",
    }
)
"""The metrics that a study may optimise, and which way: fields of `Metrics`."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Measures of one model on one set of images."""

    accuracy: float
    """Share of images whose most probable class is theirs."""
    balanced_accuracy: float
    """Mean recall of the classes that have images (`balanced_accuracy_score`)."""
    macro_f1: float
    """Mean F1 of the classes that have images or were predicted (`f1_score(average="macro", zero_division=0)`)."""
    log_loss: float
    """Mean negative logarithm (base e) of the probability given to the true class (`log_loss`)."""
    kappa: float
    """Agreement beyond chance (`cohen_kappa_score`); 0 where only one class occurs and chance alone agrees."""
    worst_class_recall: float
    """Lowest recall of the classes that have images."""
    recall_by_class: tuple[float | None, ...]
    """In the dataset's order; None for a class without images."""
    precision_by_class: tuple[float | None, ...]
    """In the dataset's order; None for a class that was never predicted."""
    confusion: tuple[tuple[int, ...], ...]
    """(K, K) images; rows are true classes, columns predicted ones."""
    num_images: int

    @classmethod
    def from_counts(cls, confusion: ArrayLike, log_loss_sum: float) -> "Metrics":
        """From counts (K, K), rows true, and the sum over images of the log-loss. Raises ValueError if there are no images."""
        confusion_KK = np.asarray(confusion, dtype=np.int64)
        num_images = int(confusion_KK.sum())
        if not num_images:
            raise ValueError("metrics need at least one image, got none")
        num_true_K, num_predicted_K, num_right_K = confusion_KK.sum(1), confusion_KK.sum(0), confusion_KK.diagonal()
        recall_K, precision_K = _shares(num_right_K, num_true_K), _shares(num_right_K, num_predicted_K)
        return cls(
            accuracy=float(num_right_K.sum() / num_images),
            balanced_accuracy=float(np.nanmean(recall_K)),
            macro_f1=float(np.nanmean(_shares(2 * num_right_K, num_true_K + num_predicted_K))),
            log_loss=log_loss_sum / num_images,
            kappa=_kappa(confusion_KK),
            worst_class_recall=float(np.nanmin(recall_K)),
            recall_by_class=_present(recall_K),
            precision_by_class=_present(precision_K),
            confusion=tuple(tuple(row) for row in confusion_KK.tolist()),
            num_images=num_images,
        )


def _shares(part_K: NDArray[np.int64], whole_K: NDArray[np.int64]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part_K, whole_K, out=np.full(len(whole_K), np.nan), where=whole_K > 0)


def _kappa(confusion_KK: NDArray[np.int64]) -> float:
    num_images = confusion_KK.sum()
    observed = confusion_KK.diagonal().sum() / num_images
    by_chance = float(confusion_KK.sum(0) / num_images @ (confusion_KK.sum(1) / num_images))
    return 0.0 if by_chance == 1 else float((observed - by_chance) / (1 - by_chance))


def _present(values_K: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values_K.tolist())
