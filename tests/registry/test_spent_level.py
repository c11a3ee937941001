"""The level of promotion is that of all comparisons on the same test images together."""

import numpy as np
import pytest
from made_up_evidence import evidence
from scipy.stats import binom

from study.registry.comparison import compare_evidence
from study.registry.decisions import sentences
from study.registry.spent_level import Allowance, Compared, allowance, shown_confidence
from study.study_file.promotion_rules import PromotionRules


def refused(num: int, first: int = 2) -> list[Compared]:
    """Comparisons of one champion with so many challengers."""
    return [
        Compared(champion=1, challenger=number, is_by_evidence=False) for number in range(first, first + num)
    ]


def test_all_levels_together_are_that_of_the_rules() -> None:
    levels = [1 - allowance(refused(num), 1, num + 2).needed_confidence(0.95) for num in range(300)]
    assert levels == sorted(levels, reverse=True)
    assert 0.046 < sum(levels) < 0.05
    assert levels[0] == pytest.approx(0.0219, abs=1e-4)


def test_a_promotion_by_evidence_passes_its_share_on_and_a_forced_one_does_not() -> None:
    promoted = Compared(champion=1, challenger=4, is_by_evidence=True)
    first, second, third, fourth = (allowance(refused(num), 1, 9).share for num in range(4))
    assert allowance([*refused(2), promoted], 4, 5) == Allowance(number=4, share=fourth + third)
    forced = Compared(champion=1, challenger=4, is_by_evidence=False)
    assert allowance([*refused(2), forced], 4, 5).share == fourth
    beaten = Compared(champion=4, challenger=5, is_by_evidence=False)
    assert allowance([*refused(2), promoted, beaten], 4, 6).share < third, "it is used up"
    every = [Compared(champion=one, challenger=one + 1, is_by_evidence=True) for one in range(1, 500)]
    assert first + second < allowance(every, 500, 501).share < 1


def test_the_same_pair_again_keeps_what_it_had() -> None:
    earlier = refused(5)
    assert allowance(earlier, 1, 3) == allowance(earlier[:1], 1, 3)
    assert allowance([*earlier, *earlier], 1, 9) == allowance(earlier, 1, 9)
    again = [*earlier, Compared(champion=1, challenger=6, is_by_evidence=True)]
    assert allowance(again, 1, 9) == allowance(earlier, 1, 9), "the first outcome counts"


def test_at_one_half_any_gain_is_enough() -> None:
    assert allowance(refused(30), 1, 99).needed_confidence(0.5) == 0.5


@pytest.mark.parametrize(
    ("confidence", "text"),
    [(0.95, "95"), (0.998331, "99.8"), (0.99996, "99.996"), (0.9781, "97.8"), (1.0, "100")],
)
def test_confidences_are_told_from_certainty(confidence: float, text: str) -> None:
    assert shown_confidence(confidence) == text


def test_two_confidences_are_told_apart() -> None:
    assert shown_confidence(0.99831, beside=0.99833) == "99.831"
    assert shown_confidence(0.99833, beside=0.99831) == "99.833"


def test_a_late_comparison_needs_more_and_says_why() -> None:
    labels_N = np.arange(400) % 4
    pair = [evidence(np.arange(400) >= num_wrong, labels_N) for num_wrong in (60, 52)]
    rules = PromotionRules(max_recall_loss=None)
    first = compare_evidence(*pair, "accuracy", rules, allowance([], 1, 7))
    assert first.faults == ()
    late = compare_evidence(*pair, "accuracy", rules, allowance(refused(4), 1, 7))
    (fault,) = late.faults
    assert late.confidence == first.confidence
    assert "the images show with only 98.5 % confidence that the gain is more than 0" in fault
    assert fault.endswith(
        "not with 99.8 % (confidence): it is comparison 5 on these test images, and all together keep 95 %"
    )
    assert late.gain_low < 0 < first.gain_low
    assert (
        "comparison 5 on these test images: it needs 99.8 % confidence, so that all together keep 95 %"
        in sentences(late)
    )


@pytest.mark.parametrize(
    ("num_better", "num_worse"), [(3, 0), (6, 1), (10, 0), (14, 2), (25, 5), (40, 12), (68, 32), (90, 40)]
)
def test_confidence_is_near_the_exact_tests_also_where_no_resample_lies_beyond(
    num_better: int, num_worse: int
) -> None:
    """McNemar's, one-sided. Of 2,000 resamples three better images of three were 95.0 %; exact is 87.5 %."""
    labels_N, order_N = np.arange(1500) % 3, np.arange(1500)
    before_N, after_N = order_N >= num_better, (order_N < num_better) | (order_N >= num_better + num_worse)
    comparison = compare_evidence(
        evidence(before_N, labels_N), evidence(after_N, labels_N), "accuracy", PromotionRules()
    )
    exact = float(binom.sf(num_better - 1, num_better + num_worse, 0.5))
    assert 0.75 * exact < 1 - comparison.confidence < 10 * exact


def test_models_that_say_the_same_are_not_worse_by_five_points() -> None:
    one = evidence(np.arange(300) >= 60, np.arange(300) % 3)
    assert compare_evidence(one, one, "accuracy", PromotionRules(minimum_gain=-0.05)).faults == ()
    assert compare_evidence(one, one, "accuracy", PromotionRules()).faults != ()
