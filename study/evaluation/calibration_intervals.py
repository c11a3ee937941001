"""The interval of a calibration error, over resamples of the images, or of their groups."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from study.evaluation.few_groups import expanded_tail
from study.evaluation.intervals import draws, percentiles
from study.evaluation.test_result import Interval
from study.evaluation.wilson import CONFIDENCE
from trainables.metrics.calibration import NUM_BINS, bin_of, expected_calibration_error

# N images, U images or groups of them, K classes, R bins, B resamples


def calibration_interval(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> Interval:
    """The expected calibration error with its 95 % interval by 2,000 bootstrap resamples, of whole groups
    where there are some, as `metric_intervals` has them.

    A resample is less calibrated than its source, so the percentiles are moved by what the resamples' mean
    lies beside the value. Where resamples do not differ nothing is known: the interval is all of [0, 1].
    """
    value = expected_calibration_error(probabilities_NK, labels_N)
    confidence_N = probabilities_NK.max(1).astype(np.float64)
    excess_N = (probabilities_NK.argmax(1) == labels_N) - confidence_N
    unit_N = np.arange(len(labels_N)) if groups_N is None else np.unique(groups_N, return_inverse=True)[1]
    num_units = int(unit_N.max()) + 1
    shape = (num_units, NUM_BINS)
    excess_UR = csr_array((excess_N, (unit_N, bin_of(confidence_N))), shape=shape)
    num_U = np.bincount(unit_N)
    parts = []
    for indices_BU in draws(num_units, len(labels_N), np.random.default_rng(seed)):
        cells_BU = indices_BU + np.arange(len(indices_BU))[:, None] * num_units
        times_BU = np.bincount(cells_BU.ravel(), minlength=indices_BU.shape[0] * num_units).reshape(
            len(indices_BU), num_units
        )
        parts.append(np.abs(times_BU @ excess_UR).sum(1) / (times_BU @ num_U))
    resampled_B = np.concatenate(parts)
    if np.ptp(resampled_B) < 1e-12:
        return Interval(value=value, low=0.0, high=1.0)
    tail = expanded_tail((1 - CONFIDENCE) / 2, None if groups_N is None else num_units)
    low, high = percentiles(value, resampled_B, tail)
    return Interval(value=value, low=min(max(low, 0.0), value), high=max(min(high, 1.0), value))
