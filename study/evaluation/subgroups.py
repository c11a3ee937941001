"""A model by subgroup of its test images: how good it is on each, and whether they differ beyond chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from study.errors import SpecError
from study.evaluation.calibration_intervals import calibration_interval
from study.evaluation.paired_tests import holm_rejected
from study.evaluation.scoring import class_results, num_distinct
from study.evaluation.subgroup_permutations import permutations
from study.evaluation.test_evidence import TestEvidence
from study.evaluation.test_result import ClassResult, Interval
from study.evaluation.wilson import share_of
from trainables.metrics.calibration import NUM_BINS, bin_of

# N images, K classes, S subgroups, R bins, T gaps, B permutations

MAX_SUBGROUPS = 20
SMALL_SUBGROUP, FEWEST_GROUPS = 30, 3
"""Images, and groups (persons, films), below which a subgroup is small: it is shown, and no gap counts it."""
SMALL_CLASS = 10
"""Images of a class in a subgroup below which no gap of its recall counts it."""
NUM_PERMUTATIONS = 1999


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """The test images of one value of a column, or of one range of its numbers."""

    name: str
    num_images: int
    num_groups: int | None
    """That its images are of; None where images have no groups."""
    is_small: bool
    """Whether it has too few images, or groups, to be compared with others."""
    accuracy: Interval
    calibration_error: Interval
    """Expected calibration error, in [0, 1]."""
    classes: tuple[ClassResult, ...]
    """In the model's order; recall is None for a class without images here."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far the subgroups lie apart in one respect."""

    of: str
    """`accuracy`, `calibration error`, or `recall of NAME`."""
    highest: str
    """The subgroup with the highest value."""
    lowest: str
    value: float
    """The difference of the two, at least 0."""
    p_value: float
    """How likely a gap is at least as large where no subgroup differs from another: by permutations."""
    is_beyond_chance: bool
    """Whether that test finds a difference, at the level of the audit for all its gaps together (Holm)."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A model by subgroup of a column."""

    column: str
    num_images: int
    """With a value in the column."""
    num_without: int
    """Without one, which are left out."""
    num_groups: int | None
    subgroups: tuple[Subgroup, ...]
    gaps: tuple[Gap, ...]
    """That of the accuracy first; empty where fewer than two subgroups are large enough."""
    level: float
    """Of the test: how often it finds any gap where there is none."""

    @property
    def accuracy_gap(self) -> Gap | None:
        """None where there are not two subgroups to compare."""
        return next((gap for gap in self.gaps if gap.of == ACCURACY), None)


ACCURACY, CALIBRATION = "accuracy", "calibration error"


def audit(
    evidence: TestEvidence,
    column: str,
    values_N: NDArray[np.str_],
    edges: Sequence[float] = (),
    *,
    level: float = 0.05,
    num_permutations: int = NUM_PERMUTATIONS,
) -> Audit:
    """Accuracy, calibration and the recall of each class by subgroup, with 95 % intervals, and the gaps.

    `values_N` has an image's value in the column, empty for none. `edges` divide numbers into ranges; without
    them each value is a subgroup. Intervals are over groups where images have groups. A gap is the highest
    value less the lowest, over subgroups that are not small. It is tested against chance by permutations of
    the subgroups (`study.evaluation.subgroup_permutations`). Deterministic. Raises SpecError where the values
    make no subgroups.
    """
    is_known_N = values_N != ""
    names, sub_N = _subgroups(column, values_N[is_known_N], edges)
    probabilities_NK, labels_N = evidence.probabilities_NK[is_known_N], evidence.labels_N[is_known_N]
    groups_N = None if evidence.groups_N is None else evidence.groups_N[is_known_N]
    subgroups = tuple(
        _subgroup(name, sub_N == number, probabilities_NK, labels_N, groups_N, evidence.classes)
        for number, name in enumerate(names)
    )
    return Audit(
        column=column,
        num_images=len(labels_N),
        num_without=int((~is_known_N).sum()),
        num_groups=num_distinct(groups_N),
        subgroups=subgroups,
        gaps=_gaps(
            subgroups, sub_N, probabilities_NK, labels_N, groups_N, evidence.classes, level, num_permutations
        ),
        level=level,
    )


def audits_of(evidence: TestEvidence) -> tuple[Audit, ...]:
    """One for each kept column that makes subgroups by its values alone."""
    audits = []
    for column in evidence.kept_columns:
        values_N = evidence.values_of(column)
        if values_N is not None and 2 <= len(np.unique(values_N[values_N != ""])) <= MAX_SUBGROUPS:
            audits.append(audit(evidence, column, values_N))
    return tuple(audits)


def _subgroups(
    column: str, values_N: NDArray[np.str_], edges: Sequence[float]
) -> tuple[list[str], NDArray[np.int64]]:
    """The names of the subgroups, and the number of that of each image."""
    distinct = np.unique(values_N).tolist()
    numbers = _numbers(distinct)
    if edges:
        if numbers is None:
            strange = next(value for value in distinct if _numbers([value]) is None)
            raise SpecError(
                f"--edges divide numbers, and the column {column!r} has {strange!r}; leave them out"
            )
        all_names = _ranges(edges)
        number_N = np.searchsorted(np.array(edges), values_N.astype(np.float64), side="right")
        used, sub_N = np.unique(number_N, return_inverse=True)
        return [all_names[number] for number in used.tolist()], sub_N
    if not 2 <= len(distinct) <= MAX_SUBGROUPS:
        way_out = " divide its numbers: --edges 18,40,60" if numbers is not None else " choose another column"
        raise SpecError(
            f"a column makes 2 to {MAX_SUBGROUPS} subgroups by its values, and {column!r} has "
            f"{len(distinct):,} on the test split;{way_out}"
        )
    order = np.argsort(numbers, kind="stable") if numbers is not None else np.arange(len(distinct))
    rank = np.empty(len(distinct), np.int64)
    rank[order] = np.arange(len(distinct))
    return [distinct[index] for index in order], rank[np.searchsorted(distinct, values_N)]


def _numbers(values: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return None


def _ranges(edges: Sequence[float]) -> list[str]:
    if list(edges) != sorted(set(edges)):
        raise SpecError(f"--edges must rise, got {', '.join(f'{edge:g}' for edge in edges)}")
    between = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} or more"]


def _subgroup(
    name: str,
    is_in_N: NDArray[np.bool_],
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None,
    classes: tuple[str, ...],
) -> Subgroup:
    probabilities_NK, labels_N = probabilities_NK[is_in_N], labels_N[is_in_N]
    groups_N = None if groups_N is None else groups_N[is_in_N]
    predicted_N, num_groups = probabilities_NK.argmax(1), num_distinct(groups_N)
    return Subgroup(
        name=name,
        num_images=len(labels_N),
        num_groups=num_groups,
        is_small=len(labels_N) < SMALL_SUBGROUP or (num_groups is not None and num_groups < FEWEST_GROUPS),
        accuracy=share_of(predicted_N == labels_N, groups_N),
        calibration_error=calibration_interval(probabilities_NK, labels_N, groups_N),
        classes=class_results(predicted_N, labels_N, classes, groups_N),
    )


def _gaps(
    subgroups: tuple[Subgroup, ...],
    sub_N: NDArray[np.int64],
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None,
    classes: tuple[str, ...],
    level: float,
    num_permutations: int,
) -> tuple[Gap, ...]:
    large = [number for number, one in enumerate(subgroups) if not one.is_small]
    if len(large) < 2:
        return ()
    is_large_N = np.isin(sub_N, large)
    of_large_N = np.searchsorted(large, sub_N[is_large_N])
    groups_N = None if groups_N is None else groups_N[is_large_N]
    measure = _Measures(probabilities_NK[is_large_N], labels_N[is_large_N], len(large), len(classes))
    values_ST = measure.of(of_large_N)
    observed_T = _differences(values_ST)
    num_reached_T = np.ones(len(observed_T))
    for permuted_N in permutations(of_large_N, groups_N, num_permutations):
        num_reached_T += _differences(measure.of(permuted_N)) >= observed_T - 1e-12
    p_values_T = num_reached_T / (num_permutations + 1)
    names = (ACCURACY, CALIBRATION, *(f"recall of {name}" for name in classes))
    tested = [index for index in range(len(names)) if np.isfinite(values_ST[:, index]).sum() > 1]
    rejected = holm_rejected([float(p_values_T[index]) for index in tested], level)
    return tuple(
        Gap(
            of=names[index],
            highest=subgroups[large[int(np.nanargmax(values_ST[:, index]))]].name,
            lowest=subgroups[large[int(np.nanargmin(values_ST[:, index]))]].name,
            value=float(observed_T[index]),
            p_value=float(p_values_T[index]),
            is_beyond_chance=is_rejected,
        )
        for index, is_rejected in zip(tested, rejected, strict=True)
    )


def _differences(values_ST: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest less lowest of each column; 0 where fewer than two subgroups have a value."""
    is_known_ST = np.isfinite(values_ST)
    highest_T = np.where(is_known_ST, values_ST, -np.inf).max(0)
    lowest_T = np.where(is_known_ST, values_ST, np.inf).min(0)
    return np.where(is_known_ST.sum(0) > 1, highest_T - lowest_T, 0.0)


class _Measures:
    """Accuracy, calibration error and the recall of each class, of each subgroup under any division."""

    def __init__(
        self,
        probabilities_NK: NDArray[np.float32],
        labels_N: NDArray[np.int64],
        num_subgroups: int,
        num_classes: int,
    ) -> None:
        confidence_N = probabilities_NK.max(1).astype(np.float64)
        self._is_right_N = (probabilities_NK.argmax(1) == labels_N).astype(np.float64)
        self._excess_N = self._is_right_N - confidence_N
        self._bin_N, self._label_N = bin_of(confidence_N), labels_N
        self._num_subgroups, self._num_classes = num_subgroups, num_classes

    def of(self, sub_N: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S, T); NaN for what a subgroup has too few images for."""
        num_subgroups, num_classes = self._num_subgroups, self._num_classes
        cell_N = sub_N * num_classes + self._label_N
        shape = (num_subgroups, num_classes)
        num_SK = np.bincount(cell_N, minlength=num_subgroups * num_classes).reshape(shape)
        right_SK = np.bincount(cell_N, self._is_right_N, num_subgroups * num_classes).reshape(shape)
        excess_SR = np.bincount(
            sub_N * NUM_BINS + self._bin_N, self._excess_N, num_subgroups * NUM_BINS
        ).reshape(num_subgroups, NUM_BINS)
        num_S = num_SK.sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall_SK = np.where(num_SK >= SMALL_CLASS, right_SK / num_SK, np.nan)
            whole_S2 = np.stack([right_SK.sum(1) / num_S, np.abs(excess_SR).sum(1) / num_S], 1)
        return np.concatenate([whole_S2, recall_SK], 1)
