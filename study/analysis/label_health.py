"""Whether labels may be wrong: equal images under several classes, and mistakes that are too certain."""

import numpy as np
from numpy.typing import NDArray

from study.analysis.health_card import HealthCard
from study.evaluation.final_result import FinalResult
from study.evaluation.test_evidence import MEASURED_FOLDER as MEASURED
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.results.study_result import StudyResult
from trainables.datasets.listing import read_manifest
from trainables.datasets.manifest import Manifest
from trainables.errors import DatasetError

# N images, K classes

CERTAIN = 0.95
"""Probability of another class from which on a mistake is a certain one."""
FEWEST = 5
"""Certain mistakes below which nothing is suspected."""
LEVEL = 0.001
"""Chance of so many certain mistakes, were the probabilities right, below which labels are suspected."""
CONFLICTS = 0.001
"""Share of the images that stand under several classes from which on labels are suspected."""


def label_card(result: StudyResult) -> HealthCard:
    """Of the dataset's conflicts, and of what the measured model said of the test split."""
    manifest = _manifest(result)
    found = [*_conflicts(manifest), *_certain_mistakes(result)]
    suspicious = [sentence for sentence, is_suspicious in found if is_suspicious]
    dataset = result.spec.dataset
    return HealthCard(
        kind="label_noise",
        is_warning=bool(suspicious),
        title="Some labels may be wrong" if suspicious else "No sign of wrong labels",
        sentence=" ".join(suspicious or [sentence for sentence, _ in found])
        or "Neither the dataset nor a measured model is at hand, so labels cannot be judged.",
        way_out=(
            "Look at the most certain mistakes (in MLflow, most_confidently_wrong.png of the best trial): "
            "what is mislabelled there is mended at the source, on the page of study label FOLDER, and added "
            f"again: study data add {dataset} --from FOLDER --replace."
            if suspicious
            else None
        ),
    )


def _manifest(result: StudyResult) -> Manifest | None:
    try:
        return read_manifest(Home(result.folder.parent.parent).datasets / result.spec.dataset)
    except DatasetError:
        return None


def _conflicts(manifest: Manifest | None) -> list[tuple[str, bool]]:
    if manifest is None:
        return []
    num = sum(split.num_images for split in manifest.splits.values())
    conflicts = manifest.findings.num_label_conflicts
    if not conflicts:
        return [(f"No image of {manifest.name} stands under two classes.", False)]
    are = "image stands" if conflicts == 1 else "images stand"
    return [
        (
            f"{conflicts:,} {are} under more than one class, of {num:,} images of {manifest.name}.",
            conflicts > CONFLICTS * num,
        )
    ]


def _certain_mistakes(result: StudyResult) -> list[tuple[str, bool]]:
    """By what the measured model said of the test split; nothing is opened."""
    evidence = None if result.final is None else _evidence(result, result.final)
    if evidence is None or result.final is None:
        return []
    calibration = result.final.test.calibration
    temperature = 1.0 if calibration.is_registered or calibration.is_at_bound else calibration.temperature
    num, expected = certain_mistakes(
        _tempered(evidence.probabilities_NK.astype(float), temperature), evidence.labels_N
    )
    return [
        (
            f"On {num:,} of {len(evidence.labels_N):,} test images the model is at least {CERTAIN:.0%} sure "
            f"of another class than the label; if its probabilities are right, one expects "
            f"about {expected:.0f}.",
            num >= FEWEST and _chance_of(num, expected) < LEVEL,
        )
    ]


def _evidence(result: StudyResult, final: FinalResult) -> TestEvidence | None:
    """What the study's result said of the test split, where it lies in the study's folder."""
    folder = result.folder / MEASURED / final.measurement / final.kind
    return TestEvidence.read(folder) if folder.exists() else None


def _tempered(probabilities_NK: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    logits_NK = np.log(np.maximum(probabilities_NK, 1e-12)) / temperature
    powers_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return np.asarray(powers_NK / powers_NK.sum(axis=1, keepdims=True))


def certain_mistakes(probabilities_NK: NDArray[np.float64], labels_N: NDArray[np.int64]) -> tuple[int, float]:
    """How many images another class than the label is certain of, and how many are to be expected if the
    probabilities are right.
    """
    most_N = probabilities_NK.max(axis=1)
    is_certain_N = most_N >= CERTAIN
    is_wrong_N = probabilities_NK.argmax(axis=1) != labels_N
    return int((is_certain_N & is_wrong_N).sum()), float((1 - most_N)[is_certain_N].sum())


def _chance_of(num: int, expected: float) -> float:
    from scipy.stats import poisson

    return float(poisson.sf(num - 1, expected))
