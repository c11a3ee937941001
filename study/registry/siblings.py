"""The candidates of one study, one training and the ensemble of its seeds: which of them is its result.

The validation split decides, before the test split is opened: the level of the tests on test images is kept
for the promotions (`study.registry.spent_level`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from study.evaluation.candidate_models import CHOICES_FOLDER, CandidateModel
from study.evaluation.cross_fit import Opinions, best_one, can_be_halved, cross_fitted
from study.evaluation.test_evidence import TestEvidence, latency_ms
from study.planning.plan import Plan
from study.registry.comparison import compare_evidence
from study.study_file.promotion_rules import PromotionRules
from trainables.atomic import atomic_file
from trainables.datasets.dataset import Dataset

# N images, K classes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which of a study's candidates stands for it, and why."""

    kind: Literal["single", "ensemble"]
    sentence: str


def choose_once(plan: Plan, models: Sequence[CandidateModel]) -> Verdict | None:
    """Which of the candidates is the study's result, by the validation split; None where there is one.

    The test split stays shut. The verdict is kept, so that an interrupted study comes to no other one.
    """
    if len(models) < 2:
        return None
    file = plan.folder / CHOICES_FOLDER / f"{models[-1].name}.json"
    if not file.exists():
        _write(file, _chosen(plan, models[-1]))
    return TypeAdapter(Verdict).validate_json(file.read_bytes())


def _write(file: Path, verdict: Verdict) -> None:
    with atomic_file(file) as unfinished:
        unfinished.write_text(json.dumps(asdict(verdict), indent=2) + "\n", encoding="utf-8")


def _chosen(plan: Plan, ensemble: CandidateModel) -> Verdict:
    dataset = Dataset.open(plan.dataset_folder)
    image = dataset.validation.images[:1]
    return compare_siblings(
        Opinions.of(ensemble.trainings, dataset),
        plan.manifest.classes,
        metric=plan.spec.objective.metric,
        rules=plan.spec.promotion,
        latencies_ms=(latency_ms(ensemble.trainings[0], image), latency_ms(ensemble.classifier, image)),
        num_folds=plan.spec.num_folds,
    )


def compare_siblings(
    opinions: Opinions,
    classes: tuple[str, ...],
    *,
    metric: str,
    rules: PromotionRules,
    latencies_ms: tuple[float, float] = (0.0, 0.0),
    num_folds: int | None = None,
) -> Verdict:
    """The ensemble of all trainings, if it is better than the best one of them, as the rules of promotion ask
    of a challenger.

    It costs as many networks as it has members, so otherwise it is the other one. The best training was
    chosen by these images, so each half of them is judged by the training that is best on the other
    (`cross_fitted`). `latencies_ms` are those of one training and of the ensemble.
    """
    name = metric.replace("_", " ")
    one = "the single network" if num_folds is None else f"one seed with its {num_folds} folds"
    if not can_be_halved(opinions):
        sentence = (
            f"validation has too few images to compare {one} with the ensemble, so {one} is the candidate"
        )
        return Verdict(kind="single", sentence=sentence)
    everyone_M = np.ones(len(opinions.probabilities_MNK), np.int64)
    single, ensemble = (
        _evidence(opinions, probabilities_NK, classes, latency)
        for probabilities_NK, latency in zip(
            (cross_fitted(opinions, best_one(metric)), opinions.mean(everyone_M)), latencies_ms, strict=True
        )
    )
    rules = rules.model_copy(update={"minimum_gain": max(rules.minimum_gain, 0.0)})
    comparison = compare_evidence(single, ensemble, metric, rules)
    before, after = comparison.metrics[metric]
    change = (
        f"the ensemble has {name} {after:.4f} on validation, {one} {before:.4f} (each half of the images by "
        "the seed that is best on the other)"
    )
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


def _evidence(
    opinions: Opinions, probabilities_NK: NDArray[np.float32], classes: tuple[str, ...], latency: float
) -> TestEvidence:
    """In the form of evidence on a test split, as comparisons read it; the images are those of validation."""
    return TestEvidence(
        dataset="",
        dataset_digest="",
        classes=classes,
        latency_ms=latency,
        labels_N=opinions.labels_N,
        is_clean_N=np.ones(len(opinions.labels_N), bool),
        probabilities_NK=probabilities_NK,
        groups_N=opinions.groups_N,
    )
