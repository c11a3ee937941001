"""The candidates of one study, one training and the ensemble of its seeds: which of them is its result."""

from dataclasses import dataclass
from typing import Literal

from study.evaluation.test_evidence import TestEvidence
from study.registry.comparison import compare_evidence
from study.study_file.promotion_rules import PromotionRules


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which of a study's candidates stands for it, and why."""

    kind: Literal["single", "ensemble"]
    sentence: str


def compare_siblings(
    single: TestEvidence,
    ensemble: TestEvidence,
    metric: str,
    rules: PromotionRules,
    num_folds: int | None = None,
) -> Verdict:
    """The ensemble, if it is better than the single network, or than the networks of one seed's folds, as the
    rules of promotion ask of a challenger.

    It costs as many networks as it has members, so otherwise it is the other one. Both were measured on
    the same images of the test split in one opening; no image is looked at again.
    """
    rules = rules.model_copy(update={"minimum_gain": max(rules.minimum_gain, 0.0)})
    comparison = compare_evidence(single, ensemble, metric, rules)
    before, after = comparison.metrics[metric]
    name = metric.replace("_", " ")
    one = "the single network" if num_folds is None else f"one seed with its {num_folds} folds"
    change = f"the ensemble has {name} {after:.4f} on the test split, {one} {before:.4f}"
    if comparison.faults:
        return Verdict(
            kind="single",
            sentence=f"{change}; it is not better by the rules of promotion ({comparison.faults[0]}), so "
            f"{one} is the candidate",
        )
    return Verdict(
        kind="ensemble",
        sentence=f"{change}; it is better by the rules of promotion (p = {comparison.p_value:.2g}), so it is "
        "the candidate",
    )
