"""Greedy selection of models whose mean is better than each of them (Caruana, Niculescu-Mizil, Crew & Ksikes,
ICML 2004: forward selection with replacement).

N images, K classes, M models.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.evaluation.cross_fit import Choice, Opinions, best_one
from study.evaluation.intervals import resampled_metrics
from study.study_file.objective import Objective
from trainables.metrics.from_logits import metrics_of

MOST_STEPS = 8
"""Models in a selection, one that counts twice being two. Each costs a pass of the network for each image."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Of some probabilities over others, on the same images."""

    value: float
    """Above 0 where they are better, also for a metric that is minimised."""
    error: float
    """Its standard error, over paired resamples of the images or their groups."""

    @property
    def is_beyond_noise(self) -> bool:
        """Whether it is more than its standard error."""
        return self.value > self.error


def gain_of(
    opinions: Opinions, metric: str, before_NK: NDArray[np.float32], after_NK: NDArray[np.float32]
) -> Gain:
    """The gain of `after_NK` over `before_NK`, what is said of the images of these opinions."""
    merit = Objective(metric=metric).merit
    before, after = (getattr(metrics_of(one, opinions.labels_N), metric) for one in (before_NK, after_NK))
    before_B, after_B = (
        resampled_metrics(one, opinions.labels_N, opinions.groups_N)[metric] for one in (before_NK, after_NK)
    )
    return Gain(value=merit(after) - merit(before), error=float((after_B - before_B).std()))


def greedily(metric: str) -> Choice:
    """Begins with the best model, and adds the one that helps most, again and again, also one that is in
    already. It stops before a model whose gain is not beyond its noise: the images choose few of few models,
    so that they cannot choose by chance for long.
    """
    merit = Objective(metric=metric).merit

    def worth(opinions: Opinions, mean_NK: NDArray[np.float32]) -> tuple[float, float]:
        metrics = metrics_of(mean_NK, opinions.labels_N)
        return merit(getattr(metrics, metric)), -metrics.log_loss

    def choose(opinions: Opinions) -> NDArray[np.int64]:
        one_more_MM = np.eye(len(opinions.probabilities_MNK), dtype=np.int64)
        times_M = best_one(metric)(opinions)
        mean_NK = opinions.mean(times_M)
        while times_M.sum() < MOST_STEPS:
            means = [opinions.mean(times_M + one_more_M) for one_more_M in one_more_MM]
            added = max(range(len(means)), key=lambda model: worth(opinions, means[model]))
            if worth(opinions, means[added])[0] <= worth(opinions, mean_NK)[0]:
                break  # resamples need not be drawn
            if not gain_of(opinions, metric, mean_NK, means[added]).is_beyond_noise:
                break
            times_M, mean_NK = times_M + one_more_MM[added], means[added]
        return times_M

    return choose
