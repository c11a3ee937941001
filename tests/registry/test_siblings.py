"""Which of a study's two candidates is its result."""

import numpy as np
from made_up_evidence import evidence

from study.registry.siblings import compare_siblings
from study.study_file.promotion_rules import PromotionRules

LABELS_N = np.arange(300) % 3
SINGLE = evidence(np.arange(300) >= 60, LABELS_N)


def test_an_ensemble_that_is_better_is_the_result() -> None:
    verdict = compare_siblings(SINGLE, evidence(np.arange(300) >= 20, LABELS_N), "accuracy", PromotionRules())
    assert verdict.kind == "ensemble"
    assert (
        verdict.sentence
        == "the ensemble has accuracy 0.9333 on the test split, the single network 0.8000; it is better by "
        "the rules of promotion (p = 1.8e-12), so it is the candidate"
    )


def test_one_that_is_not_better_beyond_chance_is_not_worth_its_cost() -> None:
    """An ensemble with 84.4 % became champion beside its own network with 86.5 %."""
    for num_wrong in (59, 60, 80):
        after = evidence(np.arange(300) >= num_wrong, LABELS_N)
        for rules in (PromotionRules(), PromotionRules(minimum_gain=-0.2)):
            verdict = compare_siblings(SINGLE, after, "accuracy", rules)
            assert verdict.kind == "single"
            assert "so the single network is the candidate" in verdict.sentence
