"""Challenger and champion on the same images: what counts as better, and what may be chance."""

import numpy as np
import pytest
from made_up_evidence import evidence
from numpy.typing import NDArray

from study.registry.comparison import Comparison, compare_evidence
from study.registry.decisions import sentences
from study.study_file.promotion_rules import PromotionRules


def compared(
    before_N: NDArray[np.bool_],
    after_N: NDArray[np.bool_],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None = None,
    **rules: float | None,
) -> Comparison:
    return compare_evidence(
        evidence(before_N, labels_N, groups_N),
        evidence(after_N, labels_N, groups_N),
        "accuracy",
        PromotionRules(**rules),
    )


def test_one_image_of_six_is_no_loss_of_a_class() -> None:
    """On faces of 12 people each class had 6 images, so no challenger that changed one could be promoted."""
    labels_N = np.arange(7).repeat(6)
    before_N = np.isin(np.arange(42) % 6, (0, 1))
    after_N = np.ones(42, bool)
    after_N[:3] = False  # of class a, which had two right, one is lost and two are not
    before_N[0], after_N[0], after_N[1] = True, False, True
    comparison = compared(before_N, after_N, labels_N)
    assert comparison.classes[0].points_lost < 0
    before_N[:6] = True
    after_N[:6] = [False, True, True, True, True, True]
    comparison = compared(before_N, after_N, labels_N)
    assert comparison.classes[0].points_lost == pytest.approx(100 / 6)
    assert comparison.classes[0].p_value == 0.5
    assert comparison.faults == ()
    (remark,) = comparison.remarks
    assert "so not counted (max_recall_loss): a 16.7 points of recall (6 images, p = 0.5)" in remark
    assert remark in sentences(comparison)


@pytest.mark.parametrize("num_better", [1, 2, 5])
def test_a_few_images_are_no_gain(num_better: int) -> None:
    """Resamples that lack the one image that differs were counted as gains, where their mean lay below."""
    labels_N = np.arange(300) % 3
    comparison = compared(np.arange(300) >= 60, np.arange(300) >= 60 - num_better, labels_N)
    assert comparison.share_of_resamples == pytest.approx(1 - np.exp(-num_better), abs=0.03)
    assert bool(comparison.faults) == (num_better < 3)


def test_a_loss_beyond_chance_refuses() -> None:
    labels_N = np.arange(4).repeat(60)
    before_N, after_N = np.arange(240) % 2 == 0, np.ones(240, bool)
    before_N[:60], after_N[:60] = True, np.arange(60) >= 20
    comparison = compared(before_N, after_N, labels_N)
    assert comparison.faults == ("a loses 33.3 points of recall (60 images), more than 5 (max_recall_loss)",)
    assert comparison.remarks == ()
    assert compared(before_N, after_N, labels_N, max_recall_loss=None).faults == ()


def test_equal_models_are_seldom_refused_for_a_class() -> None:
    """By their points alone, 19 of 20 are: with 20 images one is 5 points."""
    labels_N, refused = np.arange(10).repeat(20), 0
    for seed in range(20):
        before_N, after_N = np.random.default_rng(seed).random((2, 200)) < 0.7
        comparison = compared(before_N, after_N, labels_N)
        refused += any("max_recall_loss" in fault for fault in comparison.faults)
    assert refused <= 3


@pytest.mark.parametrize("num_people", [4, 12])
def test_people_decide_not_their_images(num_people: int) -> None:
    """Where a few people are all better, their many images prove nothing by themselves."""
    groups_N, labels_N = np.arange(num_people).repeat(30), np.arange(30 * num_people) % 2
    before_N = np.arange(30 * num_people) % 30 >= 15
    after_N = np.arange(30 * num_people) % 30 >= 8
    by_image = compared(before_N, after_N, labels_N)
    by_group = compared(before_N, after_N, labels_N, groups_N)
    assert by_image.faults == ()
    assert by_image.p_value < 1e-6
    assert by_group.p_value == pytest.approx(2 / 2**num_people)
    assert by_group.num_groups == num_people
    if num_people == 4:
        (fault,) = by_group.faults
        assert "4 groups show with only 93.8 % confidence that the gain is more than 0" in fault
    else:
        assert by_group.faults == ()
    first, second, third, *_ = sentences(by_group)
    assert f"images ({num_people} groups) of dataset" in first
    assert f"(paired bootstrap over {num_people} groups)" in second
    assert f"(signs of {num_people} groups: p = " in third


def test_equal_models_are_promoted_as_seldom_as_the_rules_say() -> None:
    """Two models that differ from person to person alone; with images drawn one by one many pass."""
    groups_N, labels_N = np.arange(15).repeat(12), np.arange(180) % 2
    by_group = by_image = 0
    for seed in range(60):
        source = np.random.default_rng(seed)
        before_N, after_N = source.random((2, 180)) < source.beta(0.7, 0.4, (2, 15))[:, groups_N]
        by_group += not compared(before_N, after_N, labels_N, groups_N, max_recall_loss=None).faults
        by_image += not compared(before_N, after_N, labels_N, max_recall_loss=None).faults
    assert by_group <= 8, "3 are expected"
    assert by_image >= 8
