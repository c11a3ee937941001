"""Comparison of challenger and champion on the same images, and the promotion rules it breaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.evaluation.few_groups import confidence_of, expanded_tail
from study.evaluation.intervals import resampled_metrics
from study.evaluation.paired_tests import holm_rejected, paired_p_value
from study.evaluation.scoring import num_distinct
from study.evaluation.test_evidence import TestEvidence
from study.study_file.objective import Objective
from study.study_file.promotion_rules import PromotionRules
from trainables.metrics.classification import METRICS, Metrics
from trainables.metrics.from_logits import metrics_of

# N images, B resamples

MAX_FAULTS_OF_CLASSES = 3
"""The worst are listed one by one."""


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """One class under both models; recalls are None where the test split has no image of it."""

    name: str
    num_images: int
    champion: float | None
    challenger: float | None
    p_value: float
    """Of the exact paired test on its images: how likely such a loss is where the challenger is not worse."""
    is_beyond_chance: bool
    """Whether that test finds a loss, with the rules' confidence for all classes together (Holm's method)."""

    @property
    def points_lost(self) -> float:
        """Percentage points of recall, below 0 for a gain."""
        return (
            0.0
            if self.champion is None or self.challenger is None
            else 100 * (self.champion - self.challenger)
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the test split says of a challenger and a champion."""

    metric: str
    """The challenger's study optimised it."""
    dataset_digest: str
    num_images: int
    num_groups: int | None
    """That the images are of; None where they have none. With groups, all tests are over groups."""
    metrics: dict[str, tuple[float, float]]
    """Champion and challenger, by the names of `trainables.metrics.classification.METRICS`."""
    gain: float
    """Of the metric, above 0 where the challenger is better, also for one that is minimised."""
    gain_low: float
    """The paired bootstrap's bound: with the confidence of the rules, the gain is at least this."""
    share_of_resamples: float
    """In which the gain exceeds the rules' minimum."""
    confidence: float
    """That the gain exceeds the rules' minimum: the share of resamples, or less where groups are few."""
    num_only_champion: int
    """Images that the champion alone gets right."""
    num_only_challenger: int
    p_value: float
    """Two-sided: how likely so uneven a pair of numbers is where neither model is better. By McNemar's exact
    test, or by the signs of the groups' differences (`study.evaluation.paired_tests`).
    """
    classes: tuple[ClassChange, ...]
    latencies_ms: tuple[float, float]
    """Champion and challenger, each on the machine that measured it."""
    rules: PromotionRules
    faults: tuple[str, ...]
    """The rules that the challenger breaks, one sentence each."""
    remarks: tuple[str, ...]
    """What a person should know beside: losses of classes that may be chance, and so do not count."""


def compare_evidence(
    champion: TestEvidence, challenger: TestEvidence, metric: str, rules: PromotionRules
) -> Comparison:
    """Compares two models; the caller makes sure that images and order are the same. Deterministic."""
    assert champion.dataset_digest == challenger.dataset_digest
    assert np.array_equal(champion.labels_N, challenger.labels_N)
    assert (champion.groups_N is None) == (challenger.groups_N is None)
    labels_N, pair = champion.labels_N, (champion, challenger)
    before, after = (metrics_of(evidence.probabilities_NK, labels_N) for evidence in pair)
    groups_N = champion.groups_N
    num_groups = num_distinct(groups_N)
    gain, gains_B, shift = _gains(champion, challenger, metric, before, after)
    # A resample that ties exceeds nothing, however little it is shifted: where one image of 300 differs, a
    # third of the resamples lack it.
    is_tie_B = np.isclose(gains_B, rules.minimum_gain, rtol=0, atol=1e-12)
    was_right_N, is_right_N = (evidence.probabilities_NK.argmax(1) == labels_N for evidence in pair)
    classes = _classes(champion, before, after, was_right_N, is_right_N, rules)
    share = float(((gains_B + shift > rules.minimum_gain) & ~is_tie_B).mean())
    confidence = confidence_of(share, num_groups, _num_differing(champion, challenger))
    latencies = (champion.latency_ms, challenger.latency_ms)
    return Comparison(
        metric=metric,
        dataset_digest=champion.dataset_digest,
        num_images=len(labels_N),
        num_groups=num_groups,
        metrics={name: (getattr(before, name), getattr(after, name)) for name in METRICS},
        gain=gain,
        gain_low=float(np.quantile(gains_B + shift, expanded_tail(1 - rules.confidence, num_groups))),
        share_of_resamples=share,
        confidence=confidence,
        num_only_champion=int((was_right_N & ~is_right_N).sum()),
        num_only_challenger=int((~was_right_N & is_right_N).sum()),
        p_value=paired_p_value(was_right_N, is_right_N, groups_N),
        classes=classes,
        latencies_ms=latencies,
        rules=rules,
        faults=(
            *_faults_of_gain(metric, gain, confidence, num_groups, rules),
            *_faults_of_classes(classes, rules),
            *_faults_of_latency(latencies[1], rules),
        ),
        remarks=_remarks_on_classes(classes, rules),
    )


def _num_differing(champion: TestEvidence, challenger: TestEvidence) -> int:
    """Groups of which the models say anything different."""
    if champion.groups_N is None:
        return 0
    differs_N = (champion.probabilities_NK != challenger.probabilities_NK).any(1)
    return len(np.unique(champion.groups_N[differs_N]))


def _gains(
    champion: TestEvidence, challenger: TestEvidence, metric: str, before: Metrics, after: Metrics
) -> tuple[float, NDArray[np.float64], float]:
    """The gain of the metric, that of each resample (B,), and what these are shifted by for the bias of the
    bootstrap.
    """
    merit = Objective(metric=metric).merit
    gain = merit(getattr(after, metric) - getattr(before, metric))
    old_B, new_B = (
        resampled_metrics(one.probabilities_NK, one.labels_N, one.groups_N)[metric]
        for one in (champion, challenger)
    )
    gains_B = merit(1.0) * (new_B - old_B)
    return gain, gains_B, gain - float(gains_B.mean())


def _classes(
    champion: TestEvidence,
    before: Metrics,
    after: Metrics,
    was_right_N: NDArray[np.bool_],
    is_right_N: NDArray[np.bool_],
    rules: PromotionRules,
) -> tuple[ClassChange, ...]:
    """Every class, with the test of its loss; classes without images are not tested."""
    p_values = {}
    for label in np.unique(champion.labels_N).tolist():
        of_class_N = champion.labels_N == label
        groups_N = None if champion.groups_N is None else champion.groups_N[of_class_N]
        p_values[label] = paired_p_value(was_right_N[of_class_N], is_right_N[of_class_N], groups_N, "less")
    rejected = dict(zip(p_values, holm_rejected(list(p_values.values()), 1 - rules.confidence), strict=True))
    counts = (sum(row) for row in before.confusion)
    rows = zip(champion.classes, counts, before.recall_by_class, after.recall_by_class, strict=True)
    return tuple(
        ClassChange(
            name=name,
            num_images=count,
            champion=old,
            challenger=new,
            p_value=p_values.get(label, 1.0),
            is_beyond_chance=rejected.get(label, False),
        )
        for label, (name, count, old, new) in enumerate(rows)
    )


def _faults_of_gain(
    metric: str, gain: float, confidence: float, num_groups: int | None, rules: PromotionRules
) -> tuple[str, ...]:
    if gain > rules.minimum_gain and confidence >= rules.confidence:
        return ()
    change = (
        f"{metric} is {'better' if gain > 0 else 'worse'} by {abs(gain):.4f}"
        if gain
        else f"{metric} is the same"
    )
    if gain <= rules.minimum_gain:
        return (f"{change}, and the gain must be more than {rules.minimum_gain:g} (minimum_gain)",)
    if num_groups is not None:
        return (
            f"{change}, but {num_groups:,} groups show with only {confidence:.1%} confidence that the gain "
            f"is more than {rules.minimum_gain:g} (minimum_gain), not with {100 * rules.confidence:g} % "
            "(confidence)",
        )
    return (
        f"{change}, but in only {confidence:.1%} of resamples is the gain more than {rules.minimum_gain:g} "
        "(minimum_gain), "
        f"not in {100 * rules.confidence:g} % (confidence)",
    )


def _large_losses(classes: tuple[ClassChange, ...], rules: PromotionRules) -> list[ClassChange]:
    """Classes that lose more than the rules allow, the largest loss first."""
    if rules.max_recall_loss is None:
        return []
    # A share of 1/20 is 5.000000000000004 points.
    return sorted(
        (one for one in classes if one.points_lost > rules.max_recall_loss + 1e-9),
        key=lambda one: -one.points_lost,
    )


def _faults_of_classes(classes: tuple[ClassChange, ...], rules: PromotionRules) -> tuple[str, ...]:
    lost = [one for one in _large_losses(classes, rules) if one.is_beyond_chance]
    more = (
        (f"and so do {len(lost) - MAX_FAULTS_OF_CLASSES} more classes",)
        if len(lost) > MAX_FAULTS_OF_CLASSES
        else ()
    )
    return (
        *(
            f"{one.name} loses {one.points_lost:.1f} points of recall ({one.num_images:,} images), more than "
            f"{rules.max_recall_loss:g} "
            "(max_recall_loss)"
            for one in lost[:MAX_FAULTS_OF_CLASSES]
        ),
        *more,
    )


def _remarks_on_classes(classes: tuple[ClassChange, ...], rules: PromotionRules) -> tuple[str, ...]:
    """One sentence on the losses that chance may explain."""
    lost = [one for one in _large_losses(classes, rules) if not one.is_beyond_chance]
    if not lost:
        return ()
    listed = ", ".join(
        f"{one.name} {one.points_lost:.1f} points of recall ({one.num_images:,} images, "
        f"p = {one.p_value:.2g})"
        for one in lost[:MAX_FAULTS_OF_CLASSES]
    )
    more = (
        f" and {len(lost) - MAX_FAULTS_OF_CLASSES} more classes" if len(lost) > MAX_FAULTS_OF_CLASSES else ""
    )
    return (f"lost, but not beyond what chance explains, so not counted (max_recall_loss): {listed}{more}",)


def _faults_of_latency(latency_ms: float, rules: PromotionRules) -> tuple[str, ...]:
    if rules.max_latency_ms is None or latency_ms <= rules.max_latency_ms:
        return ()
    return (f"one image takes {latency_ms:.2f} ms, more than {rules.max_latency_ms:g} (max_latency_ms)",)
