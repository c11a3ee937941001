"""Comparison of challenger and champion on the same images, and the promotion rules it breaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from study.evaluation.intervals import resampled_metrics
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
    metrics: dict[str, tuple[float, float]]
    """Champion and challenger, by the names of `trainables.metrics.classification.METRICS`."""
    gain: float
    """Of the metric, above 0 where the challenger is better, also for one that is minimised."""
    gain_low: float
    """The paired bootstrap's bound: with the confidence of the rules, the gain is at least this."""
    share_of_resamples: float
    """In which the gain exceeds the rules' minimum."""
    num_only_champion: int
    """Images that the champion alone gets right."""
    num_only_challenger: int
    p_value: float
    """McNemar's exact test (1947), two-sided: how likely so uneven a pair of numbers is where neither model
    is better.
    """
    classes: tuple[ClassChange, ...]
    latencies_ms: tuple[float, float]
    """Champion and challenger, each on the machine that measured it."""
    rules: PromotionRules
    faults: tuple[str, ...]
    """The rules that the challenger breaks, one sentence each."""


def compare_evidence(
    champion: TestEvidence, challenger: TestEvidence, metric: str, rules: PromotionRules
) -> Comparison:
    """Compares two models; the caller makes sure that images and order are the same. Deterministic."""
    assert champion.dataset_digest == challenger.dataset_digest
    assert np.array_equal(champion.labels_N, challenger.labels_N)
    labels_N, pair = champion.labels_N, (champion, challenger)
    before, after = (metrics_of(evidence.probabilities_NK, labels_N) for evidence in pair)
    gain, gains_B = _gains(champion, challenger, metric, before, after)
    only_champion, only_challenger, p_value = _mcnemar(
        *(evidence.probabilities_NK.argmax(1) == labels_N for evidence in pair)
    )
    classes = _classes(champion.classes, before, after)
    share = float((gains_B > rules.minimum_gain).mean())
    latencies = (champion.latency_ms, challenger.latency_ms)
    return Comparison(
        metric=metric,
        dataset_digest=champion.dataset_digest,
        num_images=len(labels_N),
        metrics={name: (getattr(before, name), getattr(after, name)) for name in METRICS},
        gain=gain,
        gain_low=float(np.quantile(gains_B, 1 - rules.confidence)),
        share_of_resamples=share,
        num_only_champion=only_champion,
        num_only_challenger=only_challenger,
        p_value=p_value,
        classes=classes,
        latencies_ms=latencies,
        rules=rules,
        faults=(
            *_faults_of_gain(metric, gain, share, rules),
            *_faults_of_classes(classes, rules),
            *_faults_of_latency(latencies[1], rules),
        ),
    )


def _gains(
    champion: TestEvidence, challenger: TestEvidence, metric: str, before: Metrics, after: Metrics
) -> tuple[float, NDArray[np.float64]]:
    """The gain of the metric, and of each resample (B,), shifted by the bias of the bootstrap."""
    merit = Objective(metric=metric).merit
    gain = merit(getattr(after, metric) - getattr(before, metric))
    old_B, new_B = (
        resampled_metrics(one.probabilities_NK, one.labels_N)[metric] for one in (champion, challenger)
    )
    gains_B = merit(1.0) * (new_B - old_B)
    return gain, gains_B + (gain - gains_B.mean())


def _mcnemar(
    is_right_before_N: NDArray[np.bool_], is_right_after_N: NDArray[np.bool_]
) -> tuple[int, int, float]:
    lost, won = (
        int((is_right_before_N & ~is_right_after_N).sum()),
        int((~is_right_before_N & is_right_after_N).sum()),
    )
    return lost, won, float(binomtest(won, lost + won).pvalue) if lost + won else 1.0


def _classes(names: tuple[str, ...], before: Metrics, after: Metrics) -> tuple[ClassChange, ...]:
    counts = (sum(row) for row in before.confusion)
    rows = zip(names, counts, before.recall_by_class, after.recall_by_class, strict=True)
    return tuple(
        ClassChange(name=name, num_images=count, champion=old, challenger=new)
        for name, count, old, new in rows
    )


def _faults_of_gain(metric: str, gain: float, share: float, rules: PromotionRules) -> tuple[str, ...]:
    if gain > rules.minimum_gain and share >= rules.confidence:
        return ()
    change = (
        f"{metric} is {'better' if gain > 0 else 'worse'} by {abs(gain):.4f}"
        if gain
        else f"{metric} is the same"
    )
    if gain <= rules.minimum_gain:
        return (f"{change}, and the gain must be more than {rules.minimum_gain:g} (minimum_gain)",)
    return (
        f"{change}, but in only {share:.1%} of resamples is the gain more than {rules.minimum_gain:g} "
        "(minimum_gain), "
        f"not in {100 * rules.confidence:g} % (confidence)",
    )


def _faults_of_classes(classes: tuple[ClassChange, ...], rules: PromotionRules) -> tuple[str, ...]:
    if rules.max_recall_loss is None:
        return ()
    # A share of 1/20 is 5.000000000000004 points.
    lost = sorted(
        (one for one in classes if one.points_lost > rules.max_recall_loss + 1e-9),
        key=lambda one: -one.points_lost,
    )
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


def _faults_of_latency(latency_ms: float, rules: PromotionRules) -> tuple[str, ...]:
    if rules.max_latency_ms is None or latency_ms <= rules.max_latency_ms:
        return ()
    return (f"one image takes {latency_ms:.2f} ms, more than {rules.max_latency_ms:g} (max_latency_ms)",)
