"""Intervals of images that come in groups: people with several images each are not so many images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from study.evaluation.few_groups import confidence_of, expanded_tail
from study.evaluation.intervals import metric_intervals, resampled_metrics
from study.evaluation.wilson import effective_number, share_interval, share_of

EYE = np.eye(2, dtype=np.float32)


def people(
    num_people: int, images_each: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Probabilities, labels and people: of some nearly all images are recognised, of others hardly any."""
    source = np.random.default_rng(seed)
    groups_N = np.repeat(np.arange(num_people), images_each)
    is_right_N = source.random(len(groups_N)) < source.beta(2.0, 0.6, num_people)[groups_N]
    labels_N = source.integers(2, size=len(groups_N))
    return EYE[np.where(is_right_N, labels_N, 1 - labels_N)], labels_N, groups_N


def test_people_whose_images_are_alike_make_a_wider_interval() -> None:
    probabilities_NK, labels_N, groups_N = people(12, 8, seed=1)
    by_image = metric_intervals(probabilities_NK, labels_N)
    by_group = metric_intervals(probabilities_NK, labels_N, groups_N)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "kappa", "log_loss"):
        before, after = by_image[name], by_group[name]
        assert after.value == before.value
        assert after.high - after.low > 1.3 * (before.high - before.low), name
    recall = share_of(probabilities_NK.argmax(1) == labels_N, groups_N)
    assert recall.high - recall.low > 1.5 * (by_image["accuracy"].high - by_image["accuracy"].low)


@pytest.mark.parametrize("method", ["bootstrap", "wilson"])
def test_intervals_of_groups_hold_the_truth_as_often_as_they_say(method: str) -> None:
    """Of 200 samples of 15 people; intervals that take images as independent hold it in two thirds."""
    truth, held, held_by_image, rounds = 2.0 / 2.6, 0, 0, 200
    for seed in range(rounds):
        probabilities_NK, labels_N, groups_N = people(15, 10, seed)
        is_right_N = probabilities_NK.argmax(1) == labels_N
        by_group = (
            metric_intervals(probabilities_NK, labels_N, groups_N)["accuracy"]
            if method == "bootstrap"
            else share_of(is_right_N, groups_N)
        )
        by_image = share_interval(int(is_right_N.sum()), len(is_right_N))
        held += by_group.low <= truth <= by_group.high
        held_by_image += by_image.low <= truth <= by_image.high
    assert 0.90 <= held / rounds <= 0.98
    assert held_by_image / rounds < 0.75


def test_groups_that_differ_little_by_luck_do_not_make_images_worth_more() -> None:
    groups_N, labels_N = np.arange(5).repeat(20), np.arange(100) % 2
    predicted_N = np.where(np.arange(100) % 20 < 5, 1 - labels_N, labels_N)  # each person has five mistakes
    by_image, by_group = (
        metric_intervals(EYE[predicted_N], labels_N, groups)["accuracy"] for groups in (None, groups_N)
    )
    assert by_group.low <= by_image.low < by_image.high <= by_group.high


def test_groups_of_one_image_are_images() -> None:
    probabilities_NK, labels_N, _ = people(300, 1, seed=3)
    alone_N = np.arange(300)
    by_image, by_group = (
        metric_intervals(probabilities_NK, labels_N, groups_N) for groups_N in (None, alone_N)
    )
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        assert (by_group[name].low, by_group[name].high) == pytest.approx(
            (by_image[name].low, by_image[name].high), abs=0.01
        )
    is_right_N = probabilities_NK.argmax(1) == labels_N
    assert effective_number(is_right_N, alone_N) == 300
    share, wilson = share_of(is_right_N, alone_N), share_interval(int(is_right_N.sum()), 300)
    assert (share.low, share.high) == pytest.approx((wilson.low, wilson.high))


def test_images_that_are_copies_count_once() -> None:
    is_right_G = np.arange(20) % 3 > 0
    copies_N, groups_N = np.repeat(is_right_G, 50), np.repeat(np.arange(20), 50)
    assert effective_number(copies_N, groups_N) == pytest.approx(20)
    wilson = share_interval(int(is_right_G.sum()), 20)
    assert share_of(copies_N, groups_N).low == pytest.approx(wilson.low)
    resampled_B = resampled_metrics(EYE[copies_N.astype(int)], np.ones(1000, np.int64), groups_N)["accuracy"]
    assert resampled_B.std() == pytest.approx(np.sqrt(0.65 * 0.35 / 20), rel=0.1), "20 draws, not 1,000"


def test_without_an_error_the_people_count_not_their_images() -> None:
    groups_N, labels_N = np.repeat(np.arange(12), 5), np.arange(60) % 2
    accuracy = metric_intervals(EYE[labels_N], labels_N, groups_N)["accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(share_interval(12, 12).low)
    alone = metric_intervals(EYE[labels_N], labels_N, np.zeros(60, np.int64))["accuracy"]
    assert alone.low == pytest.approx(share_interval(1, 1).low), "one person shows little of others"


def test_few_groups_need_a_wider_part_of_their_resamples() -> None:
    assert expanded_tail(0.025, None) == expanded_tail(0.025, 1) == 0.025
    tails = [expanded_tail(0.025, num) for num in (2, 5, 12, 100, 10_000)]
    assert tails == sorted(tails)
    assert tails[2] == pytest.approx(0.0108, abs=2e-4)
    assert tails[-1] == pytest.approx(0.025, abs=1e-4)
    for num in (3, 12, 50):
        assert confidence_of(1 - expanded_tail(0.05, num), num, 50) == pytest.approx(0.95)
    assert confidence_of(1.0, 12, 4) == 1 - 1 / 16, "four signs that are alike are no more than that"
