"""Measuring candidates on the sealed test split, once: the results are kept, and read after an
interruption.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from study.evaluation.candidate_models import CandidateModel
from study.evaluation.final_result import measurement_name
from study.evaluation.scoring import calibration_of, test_result
from study.evaluation.test_evidence import MEASURED_FOLDER, TestEvidence, kept_values, latency_ms
from study.evaluation.test_result import TestResult
from study.planning.plan import Plan
from trainables.atomic import atomic_file, atomic_folder
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import open_test_split, openings, pixel_digests_of_test
from trainables.datasets.split import Split
from trainables.inference.ensemble import Ensemble
from trainables.inference.fold_models import validation_of

RESULT_FILE = "test.json"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The result of one candidate, and its evidence."""

    result: TestResult
    evidence: TestEvidence


def is_measured(plan: Plan, models: Sequence[CandidateModel]) -> bool:
    """Whether the test split was opened for these candidates before."""
    return _folder(plan, models).exists()


def measure_once(
    plan: Plan,
    models: Sequence[CandidateModel],
    *,
    known: frozenset[bytes] = frozenset(),
    remarks: tuple[str, ...] = (),
) -> tuple[Measurement, ...]:
    """The measurements of the candidates; the test split is opened once for all of them, and never again.

    Images whose digests are `known` to the candidates otherwise than by this dataset are not clean; `remarks`
    stand with the result.
    """
    folder = _folder(plan, models)
    if not folder.exists() and (before := _measured_before(plan, models)) is not None:
        _write(folder, before)
    if not folder.exists():
        measured = _measure(plan, models, known)
        _write(
            folder,
            {
                kind: replace(one, result=replace(one.result, remarks=remarks))
                for kind, one in measured.items()
            },
        )
    return tuple(_read(folder / model.kind) for model in models)


def _measured_before(plan: Plan, models: Sequence[CandidateModel]) -> dict[str, Measurement] | None:
    """What was measured of the same candidates when there was a selection beside them, whose weights an
    extended study may have dropped since.
    """
    for folder in sorted((plan.folder / MEASURED_FOLDER).glob(f"{_measurement(models)}-beside-*")):
        if folder.is_dir() and all((folder / model.kind).exists() for model in models):
            return {model.kind: _read(folder / model.kind) for model in models}
    return None


def own_measurement(plan: Plan, name: str) -> str:
    """The name of a measurement in the record of openings: that of this study's folder alone, as a study of
    the same name may have been removed, which opened the test split for itself.
    """
    file = plan.folder / MEASURED_FOLDER / f"{name}.opening"
    if not file.exists():
        with atomic_file(file) as unfinished:
            unfinished.write_text(token_hex(8), encoding="utf-8")
    return f"{name}, {file.read_text(encoding='utf-8')}"


def _folder(plan: Plan, models: Sequence[CandidateModel]) -> Path:
    return plan.folder / MEASURED_FOLDER / _measurement(models)


def _measurement(models: Sequence[CandidateModel]) -> str:
    return measurement_name([model.name for model in models])


def _measure(plan: Plan, models: Sequence[CandidateModel], known: frozenset[bytes]) -> dict[str, Measurement]:
    """By kind."""
    dataset = Dataset.open(plan.dataset_folder)
    test, is_clean_N = open_test_split(
        plan.dataset_folder,
        opened_by=f"study {plan.spec.study}",
        measurement=own_measurement(plan, _measurement(models)),
    )
    if known:
        is_known_N = [digest in known for digest in pixel_digests_of_test(plan.dataset_folder)]
        is_clean_N = is_clean_N & ~np.array(is_known_N)
    num_openings = len(openings(plan.dataset_folder))
    return {model.kind: _measured(plan, model, dataset, test, is_clean_N, num_openings) for model in models}


def _measured(
    plan: Plan,
    model: CandidateModel,
    dataset: Dataset,
    test: Split,
    is_clean_N: NDArray[np.bool_],
    num_openings: int,
) -> Measurement:
    probabilities_NK = model.classifier.probabilities_of_stored(test.images)
    calibration = calibration_of(
        probabilities_NK,
        test.labels,
        *validation_of(model.classifier, dataset),
        temperature=model.temperature,
    )
    if isinstance(model.classifier, Ensemble):
        is_by_member = any(member.config.temperature != 1 for member in model.classifier.members)
        calibration = replace(calibration, is_by_member=is_by_member)
    result = test_result(
        probabilities_NK,
        test.labels,
        is_clean_N,
        plan.manifest.classes,
        test.groups,
        calibration=calibration,
        num_openings=num_openings,
    )
    evidence = TestEvidence(
        dataset=plan.manifest.name,
        dataset_digest=plan.manifest.digest,
        classes=plan.manifest.classes,
        labels_N=np.array(test.labels),
        is_clean_N=is_clean_N,
        probabilities_NK=probabilities_NK,
        latency_ms=latency_ms(model.classifier, test.images[:1]),
        groups_N=None if test.groups is None else np.array(test.groups),
        **kept_values(plan.dataset_folder),
    )
    return Measurement(result=result, evidence=evidence)


def _write(folder: Path, measurements: dict[str, Measurement]) -> None:
    """Writes all measurements or none."""
    with atomic_folder(folder) as unfinished:
        for kind, measurement in measurements.items():
            (unfinished / kind).mkdir(parents=True)
            measurement.evidence.write(unfinished / kind)
            tree = json.dumps(asdict(measurement.result), indent=2)
            (unfinished / kind / RESULT_FILE).write_text(tree + "\n", encoding="utf-8")


def _read(folder: Path) -> Measurement:
    result = TypeAdapter(TestResult).validate_json((folder / RESULT_FILE).read_bytes())
    return Measurement(result=result, evidence=TestEvidence.read(folder))
