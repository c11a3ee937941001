"""Comparison of challenger and champion on the same images, and the promotion rules it breaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.evaluation.intervals import resampled_metrics
from study.evaluation.paired_gain import PairedGain
from study.evaluation.paired_tests import holm_rejected, paired_p_value
from study.evaluation.scoring import num_distinct
from study.evaluation.test_evidence import TestEvidence
from study.registry.spent_level import Allowance, shown_confidence
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
    """The paired bootstrap's bound: with the needed confidence, the gain is at least this."""
    share_of_resamples: float
    """In which the gain exceeds the rules' minimum."""
    confidence: float
    """That the gain exceeds the rules' minimum (`study.evaluation.paired_gain`)."""
    number: int | None
    """Which of the comparisons on these test images it is, by the log of decisions, from 1; None where it is
    none of them.
    """
    needed_confidence: float
    """That of the rules, or more, so that all comparisons on these test images together have it."""
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
    champion: TestEvidence,
    challenger: TestEvidence,
    metric: str,
    rules: PromotionRules,
    allowance: Allowance | None = None,
) -> Comparison:
    """Compares two models; the caller makes sure that images and order are the same. Deterministic.

    `allowance` says what it may spend of the level of all comparisons on these images; None for all of it.
    """
    assert champion.dataset_digest == challenger.dataset_digest
    assert np.array_equal(champion.labels_N, challenger.labels_N)
    assert (champion.groups_N is None) == (challenger.groups_N is None)
    labels_N, pair = champion.labels_N, (champion, challenger)
    before, after = (metrics_of(evidence.probabilities_NK, labels_N) for evidence in pair)
    groups_N = champion.groups_N
    num_groups = num_distinct(groups_N)
    gain = _gain(champion, challenger, metric, before, after)
    confidence = gain.confidence(rules.minimum_gain)
    number = None if allowance is None else allowance.number
    needed = rules.confidence if allowance is None else allowance.needed_confidence(rules.confidence)
    was_right_N, is_right_N = (evidence.probabilities_NK.argmax(1) == labels_N for evidence in pair)
    classes = _classes(champion, before, after, was_right_N, is_right_N, rules)
    latencies = (champion.latency_ms, challenger.latency_ms)
    return Comparison(
        metric=metric,
        dataset_digest=champion.dataset_digest,
        num_images=len(labels_N),
        num_groups=num_groups,
        metrics={name: (getattr(before, name), getattr(after, name)) for name in METRICS},
        gain=gain.gain,
        gain_low=gain.bound(1 - needed, rules.minimum_gain),
        share_of_resamples=gain.share_above(rules.minimum_gain),
        confidence=confidence,
        number=number,
        needed_confidence=needed,
        num_only_champion=int((was_right_N & ~is_right_N).sum()),
        num_only_challenger=int((~was_right_N & is_right_N).sum()),
        p_value=paired_p_value(was_right_N, is_right_N, groups_N),
        classes=classes,
        latencies_ms=latencies,
        rules=rules,
        faults=(
            *_faults_of_gain(metric, gain, confidence, needed, number, rules),
            *_faults_of_classes(classes, rules),
            *_faults_of_latency(latencies[1], rules),
        ),
        remarks=_remarks_on_classes(classes, rules),
    )


def _gain(
    champion: TestEvidence, challenger: TestEvidence, metric: str, before: Metrics, after: Metrics
) -> PairedGain:
    merit = Objective(metric=metric).merit
    old_B, new_B = (
        resampled_metrics(one.probabilities_NK, one.labels_N, one.groups_N)[metric]
        for one in (champion, challenger)
    )
    return PairedGain(
        gain=merit(getattr(after, metric) - getattr(before, metric)),
        gains_B=merit(1.0) * (new_B - old_B),
        num_images=len(champion.labels_N),
        num_groups=num_distinct(champion.groups_N),
        num_differing=_num_differing(champion, challenger, metric),
    )


def _num_differing(champion: TestEvidence, challenger: TestEvidence, metric: str) -> int:
    """Images that count otherwise in the metric, or groups of which the models say anything different."""
    old_NK, new_NK = champion.probabilities_NK, challenger.probabilities_NK
    if champion.groups_N is not None:
        return len(np.unique(champion.groups_N[(old_NK != new_NK).any(1)]))
    if metric == "log_loss":
        return int((old_NK != new_NK).any(1).sum())
    old_N, new_N = old_NK.argmax(1), new_NK.argmax(1)
    if metric == "accuracy":
        old_N, new_N = old_N == champion.labels_N, new_N == champion.labels_N
    return int((old_N != new_N).sum())


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
    metric: str,
    gain: PairedGain,
    confidence: float,
    needed: float,
    number: int | None,
    rules: PromotionRules,
) -> tuple[str, ...]:
    if gain.gain > rules.minimum_gain and confidence >= needed:
        return ()
    change = (
        f"{metric} is {'better' if gain.gain > 0 else 'worse'} by {abs(gain.gain):.4f}"
        if gain.gain
        else f"{metric} is the same"
    )
    if gain.gain <= rules.minimum_gain:
        return (f"{change}, and the gain must be more than {rules.minimum_gain:g} (minimum_gain)",)
    who = "the images" if gain.num_groups is None else f"{gain.num_groups:,} groups"
    of_all = (
        ""
        if number is None
        else f": it is comparison {number} on these test images, and all together keep "
        f"{shown_confidence(rules.confidence)} %"
    )
    return (
        f"{change}, but {who} show with only {shown_confidence(confidence, beside=needed)} % confidence that "
        f"the gain is more than {rules.minimum_gain:g} (minimum_gain), not with "
        f"{shown_confidence(needed, beside=confidence)} % (confidence){of_all}",
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
