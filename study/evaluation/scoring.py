"""The test result of a candidate, from its probabilities."""

import numpy as np
import torch
from numpy.typing import NDArray

from study.evaluation.intervals import metric_intervals
from study.evaluation.test_result import (
    Calibration,
    CalibrationScores,
    ClassResult,
    Interval,
    TestResult,
)
from study.evaluation.wilson import share_of
from trainables.metrics.calibration import brier_score, expected_calibration_error
from trainables.metrics.temperature import fitted_temperature, is_at_bound

# N images, K classes


def test_result(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    is_clean_N: NDArray[np.bool_],
    classes: tuple[str, ...],
    groups_N: NDArray[np.int64] | None,
    *,
    calibration: Calibration,
    num_openings: int,
) -> TestResult:
    """Metrics with intervals on all and on clean images, and every class; intervals are over groups where
    there are some.
    """
    num_clean = int(is_clean_N.sum())
    has_both = 0 < num_clean < len(labels_N)
    return TestResult(
        metrics=metric_intervals(probabilities_NK, labels_N, groups_N),
        num_images=len(labels_N),
        num_groups=num_distinct(groups_N),
        clean_metrics=metric_intervals(
            probabilities_NK[is_clean_N], labels_N[is_clean_N], _selected(groups_N, is_clean_N)
        )
        if has_both
        else None,
        num_clean=num_clean,
        num_openings=num_openings,
        classes=class_results(probabilities_NK.argmax(1), labels_N, classes, groups_N),
        calibration=calibration,
    )


def calibration_of(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    validation_NK: NDArray[np.float32],
    validation_labels_N: NDArray[np.int64],
    *,
    temperature: float,
) -> Calibration:
    """The calibration on the test split, with and without a temperature fitted to `validation_NK`, and that
    on validation by halves.

    These are the same candidate's probabilities of images that it was not trained on, and both were made with
    `temperature`, 1 for none. The same images chose the candidate's epoch, so they flatter it: what a
    temperature does for them shows on images that it was not fitted to, while the final one is that of all.
    """
    # What a softmax at temperature T made is p^(1/T), normalised: T times its logarithm are the logits but
    # for a constant.
    logits_NK, validation_logits_NK = (
        _logarithm(made_NK) * temperature for made_NK in (probabilities_NK, validation_NK)
    )
    fitted = fitted_temperature(validation_logits_NK, torch.tensor(validation_labels_N))
    return Calibration(
        temperature=fitted,
        before=_scores(logits_NK, labels_N),
        after=_scores(logits_NK / fitted, labels_N),
        is_registered=temperature != 1,
        is_at_bound=is_at_bound(fitted),
        validation_by_halves=_by_halves(validation_logits_NK, validation_labels_N),
    )


def _by_halves(
    logits_NK: torch.Tensor, labels_N: NDArray[np.int64]
) -> tuple[CalibrationScores, CalibrationScores] | None:
    """Scores without a temperature, and with that of the other half; each class is halved."""
    if len(labels_N) < 2:
        return None
    half_N = np.empty(len(labels_N), np.int64)
    half_N[np.argsort(labels_N, kind="stable")] = np.arange(len(labels_N)) % 2
    tempered_NK = logits_NK.clone()
    for half in (0, 1):
        rows, others = torch.from_numpy(half_N == half), torch.from_numpy(half_N != half)
        tempered_NK[rows] /= fitted_temperature(logits_NK[others], torch.tensor(labels_N[half_N != half]))
    return _scores(logits_NK, labels_N), _scores(tempered_NK, labels_N)


def _logarithm(probabilities_NK: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(probabilities_NK).double().clamp_min(float(np.finfo(np.float32).tiny)).log()


def _scores(logits_NK: torch.Tensor, labels_N: NDArray[np.int64]) -> CalibrationScores:
    probabilities_NK = logits_NK.softmax(1).numpy()
    return CalibrationScores(
        ece=expected_calibration_error(probabilities_NK, labels_N),
        log_loss=-float(logits_NK.log_softmax(1).numpy()[np.arange(len(labels_N)), labels_N].mean()),
        brier=brier_score(probabilities_NK, labels_N),
    )


def class_results(
    predicted_N: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    classes: tuple[str, ...],
    groups_N: NDArray[np.int64] | None = None,
) -> tuple[ClassResult, ...]:
    """Every class, in the order of `classes`, with intervals of its recall and precision."""
    is_right_N = predicted_N == labels_N
    return tuple(
        ClassResult(
            name=name,
            recall=_share(is_right_N, labels_N == label, groups_N),
            precision=_share(is_right_N, predicted_N == label, groups_N),
            num_images=int((labels_N == label).sum()),
            num_predicted=int((predicted_N == label).sum()),
            num_groups=num_distinct(_selected(groups_N, labels_N == label)),
        )
        for label, name in enumerate(classes)
    )


def num_distinct(groups_N: NDArray[np.int64] | None) -> int | None:
    """How many groups there are; None where images have none."""
    return None if groups_N is None else len(np.unique(groups_N))


def _share(
    is_right_N: NDArray[np.bool_], is_counted_N: NDArray[np.bool_], groups_N: NDArray[np.int64] | None
) -> Interval | None:
    """Of the counted images the right ones; None where none is counted."""
    if not is_counted_N.any():
        return None
    return share_of(is_right_N[is_counted_N], _selected(groups_N, is_counted_N))


def _selected(
    groups_N: NDArray[np.int64] | None, is_selected_N: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    return None if groups_N is None else groups_N[is_selected_N]
