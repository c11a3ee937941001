"""How well predictions agree with labels, computed from counts pooled over a whole split, as scikit-learn
defines it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

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
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "accuracy": (0.0, 1.0),
        "balanced_accuracy": (0.0, 1.0),
        "macro_f1": (0.0, 1.0),
        "log_loss": (0.0, math.inf),
        "kappa": (-1.0, 1.0),
        "worst_class_recall": (0.0, 1.0),
    }
)
"""The lowest and the highest value that each of them can have."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Measures of one model on one set of images."""

    accuracy: float
    """Share of images whose most probable class is theirs."""
    balanced_accuracy: float
    """Mean recall of the classes that have images (`balanced_accuracy_score`)."""
    macro_f1: float
    """Mean F1 of the classes that have images or were predicted (`f1_score(average="macro",
    zero_division=0)`)."""
    log_loss: float
    """Mean negative logarithm (base e) of the probability given to the true class (`log_loss`)."""
    kappa: float
    """Agreement beyond chance (`cohen_kappa_score`); 0 where only one class occurs and chance alone
    agrees."""
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
        """From counts (K, K), rows true, and the sum over images of the log-loss.

        Raises ValueError if there are no images.
        """
        confusion_KK = np.asarray(confusion, dtype=np.int64)
        num_images = int(confusion_KK.sum())
        if not num_images:
            raise ValueError("metrics need at least one image, got none")
        num_true_K, num_predicted_K, num_right_K = (
            confusion_KK.sum(1),
            confusion_KK.sum(0),
            confusion_KK.diagonal(),
        )
        pooled = scores(
            num_right=num_right_K,
            num_true=num_true_K,
            num_predicted=num_predicted_K,
            log_loss_sum=np.asarray(log_loss_sum),
        )
        return cls(
            **{name: float(score) for name, score in pooled.items()},
            recall_by_class=_present(_shares(num_right_K, num_true_K)),
            precision_by_class=_present(_shares(num_right_K, num_predicted_K)),
            confusion=tuple(tuple(row) for row in confusion_KK.tolist()),
            num_images=num_images,
        )


def scores(
    *,
    num_right: NDArray[Any],
    num_true: NDArray[Any],
    num_predicted: NDArray[Any],
    log_loss_sum: NDArray[Any],
) -> dict[str, NDArray[np.float64]]:
    """The fields of `Metrics` that METRICS names, of one set of images (K,) or of many at once (..., K), each
    of at least one image.

    The counts are of images by class: recognised, true, predicted; `log_loss_sum` (...) is summed over
    images.
    """
    num_images = num_true.sum(-1)
    recall, accuracy = _shares(num_right, num_true), num_right.sum(-1) / num_images
    return {
        "accuracy": accuracy,
        "balanced_accuracy": np.nanmean(recall, -1),
        "macro_f1": np.nanmean(_shares(2 * num_right, num_true + num_predicted), -1),
        "log_loss": log_loss_sum / num_images,
        "kappa": _kappa(accuracy, (num_true * num_predicted).sum(-1) / num_images**2),
        "worst_class_recall": np.nanmin(recall, -1),
    }


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares


def _kappa(observed: NDArray[np.float64], by_chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where chance alone agrees."""
    return np.divide(
        observed - by_chance, 1 - by_chance, out=np.zeros(np.shape(observed)), where=by_chance < 1
    )


def _present(values_K: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values_K.tolist())
