"""Greedy selection among made-up models whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from study.evaluation.cross_fit import Opinions, best_one, cross_fitted
from study.evaluation.greedy_selection import MOST_STEPS, gain_of, greedily
from trainables.metrics.from_logits import metrics_of

# M models, N images, K classes
NUM_CLASSES = 4


def models(
    num: int, num_images: int = 600, *, skill: float = 1.5, shared: float = 0.0, seed: int = 0
) -> Opinions:
    """Equally good ones: the logit of the true class is higher by `skill` than normal noise, of which the
    share `shared` is the same for all of them.
    """
    source = np.random.default_rng(seed)
    labels_N = np.arange(num_images) % NUM_CLASSES
    own_MNK = source.normal(size=(num, num_images, NUM_CLASSES))
    common_NK = source.normal(size=(num_images, NUM_CLASSES))
    noise_MNK = np.sqrt(shared) * common_NK + np.sqrt(1 - shared) * own_MNK
    return Opinions(
        probabilities_MNK=softmax(noise_MNK + skill * np.eye(NUM_CLASSES)[labels_N]), labels_N=labels_N
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True), np.float32)


def accuracy(opinions: Opinions, probabilities_NK: NDArray[np.float32]) -> float:
    return metrics_of(probabilities_NK, opinions.labels_N).accuracy


def test_one_good_model_among_bad_ones_stays_alone() -> None:
    good, bad = models(1, skill=3.0), models(9, skill=0.0, seed=1)
    both = Opinions(
        probabilities_MNK=np.concatenate([bad.probabilities_MNK, good.probabilities_MNK]),
        labels_N=good.labels_N,
    )
    assert greedily("accuracy")(both).tolist() == [0] * 9 + [1]


def test_two_models_that_know_other_classes_are_both_taken() -> None:
    """Each knows two of four classes, and is undecided about the others."""
    labels_N = np.arange(400) % NUM_CLASSES
    logits_MNK = np.zeros((4, 400, NUM_CLASSES))
    for model, classes in enumerate(((0, 1), (2, 3))):
        knows_N = np.isin(labels_N, classes)
        logits_MNK[model, knows_N, labels_N[knows_N]] = 5
    logits_MNK += np.random.default_rng(0).normal(scale=0.3, size=logits_MNK.shape)
    opinions = Opinions(probabilities_MNK=softmax(logits_MNK), labels_N=labels_N)
    times_M = greedily("accuracy")(opinions)
    assert times_M[:2].all()
    assert not times_M[2:].any()
    assert accuracy(opinions, opinions.mean(times_M)) > 0.99


def test_models_that_make_the_same_mistakes_gain_nothing() -> None:
    opinions = models(20, shared=0.999)
    assert greedily("accuracy")(opinions).sum() == 1


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_noisy_models_are_averaged_and_few_of_them_do(metric: str) -> None:
    """Of twenty equal ones with mistakes of their own, a handful has most of what all of them have."""
    opinions, fresh = models(20, seed=2), models(20, 20_000, seed=3)
    times_M = greedily(metric)(opinions)
    assert 2 <= times_M.sum() <= MOST_STEPS
    alone, all_of_them = (fresh.mean(np.eye(20, dtype=np.int64)[0]), fresh.mean(np.ones(20, np.int64)))
    chosen = accuracy(fresh, fresh.mean(times_M))
    assert chosen - accuracy(fresh, alone) > 0.4 * (accuracy(fresh, all_of_them) - accuracy(fresh, alone))


def test_what_is_told_of_a_selection_is_what_it_is_worth_on_other_images() -> None:
    """On the images that chose it, it shows more: twenty equal models, some of whose noise is shared."""
    flattered, told, true = [], [], []
    for seed in range(12):
        opinions, fresh = (models(20, num, shared=0.6, seed=seed + at) for num, at in ((300, 0), (5000, 99)))
        times_M = greedily("accuracy")(opinions)
        flattered.append(accuracy(opinions, opinions.mean(times_M)))
        told.append(accuracy(opinions, cross_fitted(opinions, greedily("accuracy"))))
        true.append(accuracy(fresh, fresh.mean(times_M)))
    assert np.mean(flattered) - np.mean(true) > 0.01
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.02)


def test_a_gain_by_chance_is_seldom_beyond_noise_on_images_that_did_not_choose() -> None:
    """Equal models that differ in few images: were it measured on those that chose, most gains would be."""
    beyond = []
    for seed in range(20):
        opinions = models(12, 300, shared=0.97, seed=seed)
        before_NK = cross_fitted(opinions, best_one("accuracy"))
        after_NK = cross_fitted(opinions, greedily("accuracy"))
        beyond.append(gain_of(opinions, "accuracy", before_NK, after_NK).is_beyond_noise)
    assert np.mean(beyond) < 0.35
