"""How the winner judges images: its confusions and its probabilities, on the split that measured it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from study import names
from study.evaluation.final_result import Candidate
from study.evaluation.test_evidence import MEASURED_FOLDER, TestEvidence
from study.evaluation.wilson import share_interval
from study.report.figures.recall_figure import ClassRecall
from study.report.kept_inspection import home_of, kept_inspection
from study.results.study_result import StudyResult
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.errors import DatasetError
from trainables.metrics.calibration import bins_of

# N images, K classes, B bins


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Of one model on one split."""

    whose: str
    """Begins a sentence: which model, on which images."""
    classes: tuple[str, ...]
    confusion_KK: NDArray[np.int64]
    """Images by true class (rows) and predicted class."""
    num_B: NDArray[np.int64]
    """Images by bin of the probability of the predicted class."""
    num_right_B: NDArray[np.int64]
    confidence_B: NDArray[np.float64]
    """Sums of that probability."""
    recalls: tuple[ClassRecall, ...]
    evidence: TestEvidence | None
    """Where the split is the test split."""


def classes_of(result: StudyResult) -> tuple[str, ...] | None:
    """The classes of the study's dataset, in order; None where it is gone and nothing was measured."""
    if result.final is not None:
        return tuple(one.name for one in result.final.test.classes)
    try:
        return read_manifest(find_dataset(home_of(result).datasets, result.spec.dataset)).classes
    except DatasetError:
        return None


def judgement_of(result: StudyResult, classes: Sequence[str]) -> Judgement | None:
    """That of the study's result on the test split, or of its best trial on the validation split; None where
    neither was kept.
    """
    if result.final is not None:
        evidence = _evidence(result, result.final.result)
        if evidence is not None:
            return _on_test(result.final.result, evidence)
    inspection = kept_inspection(result)
    if inspection is None or result.best is None:
        return None
    counts_K = inspection.confusion_KK.sum(1)
    return Judgement(
        whose=(
            f"{names.trial_name(result.best.number)} on {int(counts_K.sum()):,} images of the validation "
            "split"
        ),
        classes=tuple(classes),
        confusion_KK=inspection.confusion_KK,
        num_B=inspection.num_B,
        num_right_B=inspection.num_right_B,
        confidence_B=inspection.confidence_B,
        recalls=tuple(
            ClassRecall(
                name=name,
                recall=share_interval(int(inspection.confusion_KK[index, index]), int(counts_K[index]))
                if counts_K[index]
                else None,
                num_images=int(counts_K[index]),
            )
            for index, name in enumerate(classes)
        ),
        evidence=None,
    )


def with_champion(judgement: Judgement, champion: TestEvidence) -> tuple[Judgement, NDArray[np.int64]]:
    """The judgement with the champion's recall beside each class, and the champion's confusions, by the same
    order of classes.
    """
    confusion_KK = confusion_of(champion)
    counts_K = np.maximum(confusion_KK.sum(1), 1)
    recalls = tuple(
        replace(one, champion=float(confusion_KK[index, index] / counts_K[index]))
        for index, one in enumerate(judgement.recalls)
    )
    return replace(judgement, recalls=recalls), confusion_KK


def confusion_of(evidence: TestEvidence) -> NDArray[np.int64]:
    """Images (K, K) by true and predicted class."""
    num, said_N = len(evidence.classes), evidence.probabilities_NK.argmax(1)
    return np.bincount(evidence.labels_N * num + said_N, minlength=num**2).reshape(num, num).astype(np.int64)


def _on_test(candidate: Candidate, evidence: TestEvidence) -> Judgement:
    said_N, sure_N = evidence.probabilities_NK.argmax(1), evidence.probabilities_NK.max(1).astype(np.float64)
    num_B, num_right_B, confidence_B = bins_of(sure_N, said_N == evidence.labels_N)
    return Judgement(
        whose=(
            f"{candidate.model} version {candidate.version} on {len(evidence.labels_N):,} images of the "
            "sealed test split"
        ),
        classes=evidence.classes,
        confusion_KK=confusion_of(evidence),
        num_B=num_B,
        num_right_B=num_right_B,
        confidence_B=confidence_B,
        recalls=tuple(
            ClassRecall(name=one.name, recall=one.recall, num_images=one.num_images)
            for one in candidate.test.classes
        ),
        evidence=evidence,
    )


def _evidence(result: StudyResult, candidate: Candidate) -> TestEvidence | None:
    """What was kept when the test split was opened; nothing is measured for a report."""
    assert result.final is not None, "it names the candidate"
    folder = result.folder / MEASURED_FOLDER / result.final.measurement / candidate.kind
    try:
        return TestEvidence.read(folder)
    except FileNotFoundError:
        return None
