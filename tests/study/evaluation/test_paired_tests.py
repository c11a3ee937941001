"""Paired tests against scipy, and against all flips counted one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from study.evaluation.paired_tests import Alternative, holm_rejected, paired_p_value

BOTH = st.sampled_from(["two-sided", "less"])


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Of each image whether each of two models is right, and its group."""
    num_images = draw(st.integers(1, 25))
    columns = (st.booleans(), st.booleans(), st.integers(0, 7))
    before, after, groups = (
        np.array(draw(st.lists(column, min_size=num_images, max_size=num_images))) for column in columns
    )
    return before, after, groups


@given(outcomes(), BOTH)
@settings(deadline=None)
def test_the_flips_of_groups_are_all_counted(
    drawn: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]], alternative: Alternative
) -> None:
    before, after, groups = drawn
    differences = [
        int(after[groups == group].sum()) - int(before[groups == group].sum()) for group in np.unique(groups)
    ]
    sums = [
        sum(sign * difference for sign, difference in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    observed = sum(differences)
    is_as_far = [one <= observed if alternative == "less" else abs(one) >= abs(observed) for one in sums]
    assert paired_p_value(before, after, groups, alternative) == pytest.approx(np.mean(is_as_far))


@given(outcomes(), BOTH)
@settings(deadline=None)
def test_groups_of_one_image_have_mcnemars_test(
    drawn: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]], alternative: Alternative
) -> None:
    before, after, _ = drawn
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    expected = binomtest(won, won + lost, alternative=alternative).pvalue if won + lost else 1.0
    for groups in (None, np.arange(len(before))):
        assert paired_p_value(before, after, groups, alternative) == pytest.approx(expected)


def test_one_person_is_no_evidence_however_many_images_there_are() -> None:
    before, after = np.zeros(40, bool), np.ones(40, bool)
    assert paired_p_value(before, after, None) < 1e-9
    assert paired_p_value(before, after, np.zeros(40, np.int64)) == 1.0
    assert paired_p_value(before, after, np.arange(40) // 8) == pytest.approx(2 / 2**5)


def test_of_many_classes_one_may_look_worse_by_chance() -> None:
    assert holm_rejected([0.04], 0.05) == [True]
    assert holm_rejected([0.04, 0.5, 0.9], 0.05) == [False, False, False]
    assert holm_rejected([0.9, 0.001, 0.02], 0.05) == [False, True, True]
    assert holm_rejected([], 0.05) == []
