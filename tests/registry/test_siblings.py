"""Which of a study's two candidates is its result, by images of the validation split."""

import numpy as np
import pytest
from numpy.typing import NDArray

from study.evaluation.cross_fit import Opinions, best_one, cross_fitted
from study.registry.siblings import compare_siblings
from study.study_file.promotion_rules import PromotionRules

LABELS_N = np.arange(300) % 3


def opinions(is_right_MN: NDArray[np.bool_], groups_N: NDArray[np.int64] | None = None) -> Opinions:
    """Of models that are right for these images, and take the next class for the others."""
    labels_N = np.arange(is_right_MN.shape[1]) % 3
    said_MN = np.where(is_right_MN, labels_N, (labels_N + 1) % 3)
    probabilities_MNK = np.where(np.eye(3)[said_MN] > 0, 0.9, 0.05).astype(np.float32)
    return Opinions(probabilities_MNK=probabilities_MNK, labels_N=labels_N, groups_N=groups_N)


def right_but_for(*wrong: range) -> NDArray[np.bool_]:
    """(M, 300): which images each model is right for."""
    return np.stack([~np.isin(np.arange(300), list(one)) for one in wrong])


OTHERS_MISTAKES = right_but_for(range(60), range(60, 120), range(120, 180))
"""The mean of three such models is right everywhere."""


def test_an_ensemble_that_is_better_is_the_result() -> None:
    verdict = compare_siblings(
        opinions(OTHERS_MISTAKES), ("a", "b", "c"), metric="accuracy", rules=PromotionRules()
    )
    assert verdict.kind == "ensemble"
    assert (
        verdict.sentence
        == "the ensemble has accuracy 1.0000 on validation, the single network 0.8000 (each half of the "
        "images by the seed that is best on the other); it is better by the rules of promotion "
        "(p = 1.7e-18), so it is the candidate"
    )


@pytest.mark.parametrize("rules", [PromotionRules(), PromotionRules(minimum_gain=-0.2)])
def test_one_that_is_not_better_beyond_chance_is_not_worth_its_cost(rules: PromotionRules) -> None:
    """An ensemble with 84.4 % became champion beside its own network with 86.5 %."""
    for mistakes in (
        (range(60), range(60), range(60)),  # the same
        (range(60), range(58), range(1, 59)),  # a little better
        (range(20), range(80), range(80)),  # worse
    ):
        verdict = compare_siblings(
            opinions(right_but_for(*mistakes)), ("a", "b", "c"), metric="accuracy", rules=rules
        )
        assert verdict.kind == "single"
        assert "so the single network is the candidate" in verdict.sentence


def test_an_ensemble_that_is_too_slow_is_not_the_result() -> None:
    verdict = compare_siblings(
        opinions(OTHERS_MISTAKES),
        ("a", "b", "c"),
        metric="accuracy",
        rules=PromotionRules(max_latency_ms=20),
        latencies_ms=(10.0, 30.0),
    )
    assert verdict.kind == "single"
    assert "one image takes 30.00 ms, more than 20 (max_latency_ms)" in verdict.sentence


def test_images_of_one_person_do_not_judge_what_they_chose() -> None:
    """With a single group there is nobody left to judge, and a second one is enough."""
    for num_groups, kind in ((1, "single"), (60, "ensemble")):
        people_N = np.arange(300) % num_groups
        verdict = compare_siblings(
            opinions(OTHERS_MISTAKES, people_N), ("a", "b", "c"), metric="accuracy", rules=PromotionRules()
        )
        assert verdict.kind == kind


def test_the_best_of_equal_seeds_is_judged_at_what_they_are_worth() -> None:
    """Twelve equal seeds, right in 70 % of images each: the best of them shows some four points more."""
    flattered, judged = [], []
    for seed in range(40):
        is_right_MN = np.random.default_rng(seed).random((12, 300)) < 0.7
        flattered.append(is_right_MN.mean(1).max())
        probabilities_NK = cross_fitted(opinions(is_right_MN), best_one("accuracy"))
        judged.append((probabilities_NK.argmax(1) == LABELS_N).mean())
    assert np.mean(flattered) > 0.73
    assert np.mean(judged) == pytest.approx(0.7, abs=0.013)  # three standard errors
