"""Choices among trained models by the images of the validation split, judged on images that did not choose.

M models, N images, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.study_file.objective import Objective
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.fold_models import groups_of_validation, validation_of
from trainables.metrics.from_logits import metrics_of


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """What each of several models says of images that none of them was trained on."""

    probabilities_MNK: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    groups_N: NDArray[np.int64] | None = None
    """Numbers, equal for images of one group (a person, a film); None where images have none."""

    @classmethod
    def of(cls, models: Sequence[Classifier | Ensemble], dataset: Dataset) -> "Opinions":
        """Those of the models on the validation split, or, of models of folds, on the images held out."""
        said = [validation_of(model, dataset) for model in models]
        return cls(
            probabilities_MNK=np.stack([probabilities_NK for probabilities_NK, _ in said]),
            labels_N=said[0][1],
            groups_N=groups_of_validation(models[0], dataset),
        )

    def at(self, is_chosen_N: NDArray[np.bool_]) -> "Opinions":
        """Those on some of the images."""
        return Opinions(
            probabilities_MNK=self.probabilities_MNK[:, is_chosen_N],
            labels_N=self.labels_N[is_chosen_N],
            groups_N=None if self.groups_N is None else self.groups_N[is_chosen_N],
        )

    def mean(self, times_M: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean (N, K) over models, each counted so many times."""
        used_M = np.flatnonzero(times_M)
        summed_NK = np.einsum("m,mnk->nk", times_M[used_M].astype(float), self.probabilities_MNK[used_M])
        mean_NK: NDArray[np.float32] = (summed_NK / times_M.sum()).astype(np.float32)
        return mean_NK


Choice = Callable[[Opinions], NDArray[np.int64]]
"""Which models make the mean that stands for all: how many times (M,) each counts in it."""


def cross_fitted(opinions: Opinions, choose: Choice) -> NDArray[np.float32]:
    """Probabilities (N, K) of what a choice comes to: each half of the images by what the other half chose.

    The best of several models on the images that chose it looks better than it is. Here no image is judged by
    a choice that it had a part in. The choices are made by half of the images, so that they are a bit worse
    than the final one. What the images chose before, such as the epoch of each model, is not undone.
    """
    is_first_N = _is_in_first_half(opinions.labels_N, opinions.groups_N)
    probabilities_NK = np.empty(opinions.probabilities_MNK.shape[1:], np.float32)
    for is_judged_N in (is_first_N, ~is_first_N):
        probabilities_NK[is_judged_N] = opinions.at(is_judged_N).mean(choose(opinions.at(~is_judged_N)))
    return probabilities_NK


def best_one(metric: str) -> Choice:
    """Chooses the model that is best by a metric, the first one among equals."""
    merit = Objective(metric=metric).merit

    def choose(opinions: Opinions) -> NDArray[np.int64]:
        values = [
            merit(getattr(metrics_of(said_NK, opinions.labels_N), metric))
            for said_NK in opinions.probabilities_MNK
        ]
        times_M: NDArray[np.int64] = np.eye(len(values), dtype=np.int64)[int(np.argmax(values))]
        return times_M

    return choose


def can_be_halved(opinions: Opinions) -> bool:
    """Whether there are enough images, or groups of them, for two halves."""
    units_N = np.arange(len(opinions.labels_N)) if opinions.groups_N is None else opinions.groups_N
    return len(np.unique(units_N)) > 1


def _is_in_first_half(labels_N: NDArray[np.int64], groups_N: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Halves that share no group: every second image of each class, or every second group, by size."""
    if groups_N is None:
        is_first_N = np.empty(len(labels_N), bool)
        is_first_N[np.argsort(labels_N, kind="stable")] = np.arange(len(labels_N)) % 2 == 0
        return is_first_N
    _, group_N, size_G = np.unique(groups_N, return_inverse=True, return_counts=True)
    is_first_G = np.empty(len(size_G), bool)
    is_first_G[np.argsort(-size_G, kind="stable")] = np.arange(len(size_G)) % 2 == 0
    in_first_N: NDArray[np.bool_] = is_first_G[group_N]
    return in_first_N
