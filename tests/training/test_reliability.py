"""Calibration error and Brier score against plain loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from trainables.metrics.calibration import brier_score, expected_calibration_error


def predictions(seed, num_images=80, num_classes=4):
    generator = np.random.default_rng(seed)
    labels_N = generator.integers(0, num_classes, num_images)
    probabilities_NK = generator.dirichlet(np.full(num_classes, 0.4), num_images).astype(np.float32)
    return probabilities_NK, labels_N


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_the_calibration_error_is_the_one_of_a_plain_loop(seed):
    probabilities_NK, labels_N = predictions(seed)
    error = 0.0
    for i in range(15):
        low, high = i / 15, (i + 1) / 15
        inside = [
            (float(max(row)), int(np.argmax(row)) == label)
            for row, label in zip(probabilities_NK, labels_N, strict=True)
            if low < max(row) <= high
        ]
        if inside:
            confidence, right = np.mean([one[0] for one in inside]), np.mean([one[1] for one in inside])
            error += len(inside) / len(labels_N) * abs(confidence - right)
    assert expected_calibration_error(probabilities_NK, labels_N) == pytest.approx(error, abs=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_the_brier_score_is_scikit_learns(seed):
    probabilities_NK, labels_N = predictions(seed)
    rows_NK = probabilities_NK.astype(np.float64) / probabilities_NK.astype(np.float64).sum(1, keepdims=True)
    expected = brier_score_loss(labels_N, rows_NK, labels=range(4), scale_by_half=False)
    assert brier_score(rows_NK, labels_N) == pytest.approx(expected)


def test_certain_and_right_is_perfect_and_certain_and_wrong_the_worst():
    certain = np.eye(3, dtype=np.float32)
    assert (expected_calibration_error(certain, np.arange(3)), brier_score(certain, np.arange(3))) == (0, 0)
    wrong = np.array([1, 2, 0])
    assert (expected_calibration_error(certain, wrong), brier_score(certain, wrong)) == (1, 2)
