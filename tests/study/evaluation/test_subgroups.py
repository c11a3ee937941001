"""Models by subgroup: intervals, gaps, and a test of gaps whose false alarms are as rare as it says."""

import numpy as np
import pytest

from study.errors import SpecError
from study.evaluation.calibration_intervals import calibration_interval
from study.evaluation.subgroup_permutations import permutations
from study.evaluation.subgroups import audit, audits_of
from study.evaluation.test_evidence import TestEvidence
from trainables.metrics.calibration import expected_calibration_error

CLASSES = ("a", "b", "c")


def evidence(
    is_right_N: np.ndarray,
    *,
    groups_N: np.ndarray | None = None,
    values_N: np.ndarray | None = None,
    seed: int = 0,
) -> TestEvidence:
    """What a model said that is right for these images, and sure of everything with 0.8."""
    source = np.random.default_rng(seed)
    labels_N = source.integers(3, size=len(is_right_N))
    predicted_N = np.where(is_right_N, labels_N, (labels_N + 1) % 3)
    return TestEvidence(
        dataset="zoo",
        dataset_digest="d" * 64,
        classes=CLASSES,
        latency_ms=1.0,
        labels_N=labels_N,
        is_clean_N=np.ones(len(is_right_N), bool),
        probabilities_NK=np.where(np.eye(3)[predicted_N] > 0, 0.8, 0.1).astype(np.float32),
        groups_N=groups_N,
        kept_columns=() if values_N is None else ("age",),
        kept_NM=None if values_N is None else values_N[:, None],
    )


def test_a_subgroup_that_fares_worse_is_found() -> None:
    source = np.random.default_rng(0)
    values_N = np.array(["young"] * 300 + ["old"] * 200 + ["rare"] * 12)
    is_right_N = source.random(512) < np.where(values_N == "old", 0.6, 0.9)
    found = audit(evidence(is_right_N), "age", values_N)
    by_name = {one.name: one for one in found.subgroups}
    assert [one.name for one in found.subgroups] == ["old", "rare", "young"]
    assert by_name["rare"].is_small
    assert not by_name["old"].is_small
    old = by_name["old"].accuracy
    assert old.low < 0.6 < old.high
    assert old.value == pytest.approx(is_right_N[values_N == "old"].mean())
    gap = found.accuracy_gap
    assert gap is not None
    assert (gap.highest, gap.lowest, gap.is_beyond_chance) == ("young", "old", True)
    assert gap.value == pytest.approx(by_name["young"].accuracy.value - old.value)
    assert {one.of for one in found.gaps} == {
        "accuracy",
        "calibration error",
        *(f"recall of {c}" for c in CLASSES),
    }
    assert sum(row.num_images for row in by_name["old"].classes) == 200


def test_gaps_of_equal_subgroups_alarm_as_rarely_as_the_level_says() -> None:
    source, num_alarms, num_tries = np.random.default_rng(1), 0, 120
    for _ in range(num_tries):
        is_right_N = source.random(150) < 0.7
        values_N = source.choice(["x", "y", "z"], 150)
        found = audit(evidence(is_right_N, seed=3), "age", values_N, num_permutations=199)
        num_alarms += any(gap.is_beyond_chance for gap in found.gaps)
    assert num_alarms <= 13  # of 120 at 5 % more are chance in 1 of 100 cases


@pytest.mark.parametrize("is_mixed", [False, True])
def test_persons_are_the_units_of_the_test(is_mixed: bool) -> None:
    """Images of a person are alike: taken one by one they would alarm in most cases."""
    source, alarms, num_tries = np.random.default_rng(2), {True: 0, False: 0}, 40
    for _ in range(num_tries):
        groups_N = np.repeat(np.arange(12), 25)
        is_right_N = source.random(300) < np.repeat(source.choice([0.3, 1.0], 12), 25)
        if is_mixed:  # each person before both cameras
            values_N = source.choice(["x", "y"], 300)
        else:
            values_N = np.repeat(np.array(["x", "y"])[source.permutation(np.arange(12) % 2)], 25)
        for has_groups in (True, False):
            one = evidence(is_right_N, groups_N=groups_N if has_groups else None)
            gap = audit(one, "camera", values_N, num_permutations=199).accuracy_gap
            assert gap is not None
            alarms[has_groups] += gap.p_value <= 0.05
    assert alarms[True] <= 6
    if not is_mixed:
        assert alarms[False] > 12


def test_a_subgroup_of_one_person_is_small() -> None:
    groups_N = np.repeat(np.arange(9), 40)
    values_N = np.array(["x", "x", "x", "x", "y", "y", "y", "y", "z"])[groups_N]
    found = audit(evidence(np.ones(360, bool), groups_N=groups_N), "place", values_N)
    assert [one.is_small for one in found.subgroups] == [False, False, True]
    assert [one.num_groups for one in found.subgroups] == [4, 4, 1]
    gap = found.accuracy_gap
    assert gap is not None
    assert (gap.value, gap.p_value) == (0.0, 1.0)


def test_permutations_exchange_persons_and_the_images_of_a_mixed_one() -> None:
    groups_N = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    sub_N = np.array([0, 0, 1, 1, 0, 1, 1, 0])
    seen = set()
    for permuted_N in permutations(sub_N, groups_N, 200):
        assert sorted(permuted_N[4:]) == [0, 0, 1, 1]
        assert permuted_N[0] == permuted_N[1] != permuted_N[2] == permuted_N[3]
        seen.add(tuple(permuted_N.tolist()))
    assert len(seen) == 2 * 6


def test_numbers_become_ranges() -> None:
    values_N = np.array([str(age) for age in range(10, 90)] + ["", ""])
    one = evidence(np.ones(82, bool))
    found = audit(one, "age", values_N, (18, 40))
    assert [(row.name, row.num_images) for row in found.subgroups] == [
        ("below 18", 8),
        ("18 to below 40", 22),
        ("40 or more", 50),
    ]
    assert (found.num_images, found.num_without) == (80, 2)
    with pytest.raises(
        SpecError, match=r"'age' has 80 on the test split; divide its numbers: --edges 18,40,60"
    ):
        audit(one, "age", values_N)
    with pytest.raises(SpecError, match="--edges must rise, got 40, 18"):
        audit(one, "age", values_N, (40, 18))
    with pytest.raises(SpecError, match="--edges divide numbers, and the column 'age' has 'old'"):
        audit(one, "age", np.where(values_N == "10", "old", values_N), (18,))


def test_values_that_are_numbers_stand_in_their_order() -> None:
    values_N = np.array(["9", "10", "100"] * 20)
    found = audit(evidence(np.ones(60, bool)), "age", values_N)
    assert [one.name for one in found.subgroups] == ["9", "10", "100"]


def test_only_columns_of_few_values_are_audited_by_themselves() -> None:
    few, many = np.array(["x", "y"] * 40), np.array([str(number) for number in range(80)])
    assert [one.column for one in audits_of(evidence(np.ones(80, bool), values_N=few))] == ["age"]
    assert audits_of(evidence(np.ones(80, bool), values_N=many)) == ()
    assert audits_of(evidence(np.ones(80, bool))) == ()


def test_the_interval_of_a_calibration_error_holds_it_and_the_truth() -> None:
    """A model that is sure of all with 0.8 and right in 0.7 of cases has an error of 0.1."""
    source, num_held = np.random.default_rng(5), 0
    for number in range(100):
        one = evidence(source.random(300) < 0.7, seed=number)
        interval = calibration_interval(one.probabilities_NK, one.labels_N)
        value = expected_calibration_error(one.probabilities_NK, one.labels_N)
        assert interval.value == pytest.approx(value)
        assert interval.low <= interval.value <= interval.high
        num_held += interval.low <= 0.1 <= interval.high
    assert num_held >= 87


def test_the_interval_of_a_calibration_error_is_wider_over_persons() -> None:
    source = np.random.default_rng(6)
    groups_N = np.repeat(np.arange(10), 30)
    one = evidence(source.random(300) < np.repeat(source.choice([0.4, 1.0], 10), 30))
    by_image = calibration_interval(one.probabilities_NK, one.labels_N)
    by_person = calibration_interval(one.probabilities_NK, one.labels_N, groups_N)
    assert by_person.high - by_person.low > 1.5 * (by_image.high - by_image.low)
    alone = calibration_interval(one.probabilities_NK, one.labels_N, np.zeros(300, np.int64))
    assert (alone.low, alone.high) == (0.0, 1.0)
