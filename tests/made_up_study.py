"""A study with everything that a report can show, made in a second: nothing is trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from search_spaces.space import Point
from study import names
from study.evaluation.final_result import Candidate, Confirmed, FinalResult
from study.evaluation.test_evidence import MEASURED_FOLDER, TestEvidence
from study.evaluation.test_result import (
    Calibration,
    CalibrationScores,
    ClassResult,
    Interval,
    TestResult,
)
from study.evaluation.wilson import share_interval
from study.home import Home
from study.planning.plan import study_space
from study.results.study_result import StudyResult
from study.search.record.kept_weights import inspection_file
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import End, EpochReport
from study.study_file.study_spec import StudySpec
from study.yaml_file import write_yaml
from trainables.metrics.inspection import Inspection

NAME = "made-up"
NUM_IMAGES = 359
"""Of the digits' validation split."""
SPACE = """
from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="shown",
    about="",
    dimensions=(
        Choice(name="architecture", options=("resnet18", "resnet50", "mobilenet_v3_small")),
        Int(name="freeze_depth", low=0, high=4, unit="stages"),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True),
        Choice(name="optimizer", options=("sgd", "adamw")),
        Float(name="momentum", low=0.5, high=0.99, when={"optimizer": one_of("sgd")}),
        Float(name="dropout", low=0.0, high=0.5),
        Choice(name="batch_size", options=(32, 64, 128), unit="images"),
    ),
)
"""
CLASSES = ("airplane", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck", "zebra")


def make_study(
    home: Home,
    *,
    num_trials: int = 40,
    epochs: int = 12,
    objectives: tuple[str, ...] = ("macro_f1",),
    classes: tuple[str, ...] = CLASSES,
    about: str | None = "Does freezing the first stages cost anything?",
    ends: bool = True,
    seed: int = 3,
) -> StudyResult:
    """The study in `home`, which has the digits; `ends` says whether it was measured and registered."""
    folder = home.studies / NAME
    folder.mkdir(parents=True)
    (folder / "search_space.py").write_text(SPACE)
    spec = StudySpec.parse(
        {
            "study": NAME,
            "dataset": "digits",
            "about": about,
            "search_space": f"{folder / 'search_space.py'}:SPACE",
            "objective": [{"metric": name} for name in objectives],
            "budget": {"trials": max(num_trials, 2), "epochs": epochs},
            "confirm": {"top": 2, "seeds": 2},
        }
    )
    record = StudyRecord.create(folder, NAME, objectives=spec.objectives, sampler=spec.sampler)
    write_yaml(folder / SPEC_FILE, spec.to_dict())
    record.note(dataset_digest="0" * 64, user="ada", seconds=400.0)
    random = np.random.default_rng(seed)
    for index in range(num_trials):
        asked = record.ask(study_space(spec), seed)
        assert asked is not None
        _train(record, *asked, random, epochs, index, "latency_ms" in objectives)
    best = record.best()
    if best is not None:
        _inspection(random, len(classes)).save(inspection_file(folder, best.number))
    if ends:
        assert best is not None
        _end(folder, best.number, classes, random)
        record.note(num_edits_at_end=0)
    return StudyResult.read(folder)


def _train(
    record: StudyRecord,
    number: int,
    point: Point,
    random: np.random.Generator,
    epochs: int,
    index: int,
    has_latency: bool,
) -> None:
    if has_latency:
        size = {"resnet18": 8.0, "resnet50": 21.0}.get(str(point["architecture"]), 3.0)
        record.note_measures(number, {"latency_ms": size + random.uniform(0, 2)})
    ends: dict[int, End] = {5: "failed", 11: "infeasible", 17: "killed"}
    end = ends.get(index % 23, "pruned" if index > 8 and index % 2 else "complete")
    num = {"complete": epochs, "failed": 0, "infeasible": 0}.get(end, max(epochs // 3, 1))
    worth = _worth(point) + random.normal(0, 0.01)
    for epoch in range(1, num + 1):
        value = min(max(worth * (1 - 0.6 * 0.6**epoch) + random.normal(0, 0.004), 0.0), 1.0)
        metrics = {"accuracy": value + 0.01, "macro_f1": value, "log_loss": 1 - value}
        record.report(number, EpochReport(epoch=epoch, value=value, metrics=metrics, seconds=3.0, run_id="r"))
    record.finish(number, end, None if end == "complete" else "because <b>of a rung</b>")


def _worth(point: Point) -> float:
    depth = float(point["freeze_depth"])
    rate = np.log10(float(point["learning_rate"])) + 2.5
    large = {"resnet50": 0.05, "resnet18": 0.02}.get(str(point["architecture"]), 0.0)
    bend = 0.02 * (depth - (3 if point["architecture"] == "resnet50" else 1)) ** 2
    return float(0.82 + large - bend - 0.06 * rate**2 - 0.05 * float(point["dropout"]))


def evidence_of(classes: tuple[str, ...], random: np.random.Generator, *, skill: float = 2.0) -> TestEvidence:
    """What a model says that is right for most images; `skill` is how clearly."""
    num = len(classes)
    labels_N = random.integers(0, num, NUM_IMAGES)
    logits_NK = random.normal(0, 1, (NUM_IMAGES, num))
    logits_NK[np.arange(NUM_IMAGES), labels_N] += skill + 0.1 * labels_N
    odds_NK = np.exp(logits_NK)
    return TestEvidence(
        dataset="digits",
        dataset_digest="0" * 64,
        classes=classes,
        latency_ms=1.0,
        labels_N=labels_N,
        is_clean_N=np.ones(NUM_IMAGES, bool),
        probabilities_NK=(odds_NK / odds_NK.sum(1, keepdims=True)).astype(np.float32),
    )


def _inspection(random: np.random.Generator, num_classes: int) -> Inspection:
    labels_N = random.integers(0, num_classes, NUM_IMAGES)
    wrong_N = random.uniform(size=NUM_IMAGES) < 0.15
    said_N = np.where(
        wrong_N, (labels_N + random.integers(1, num_classes, NUM_IMAGES)) % num_classes, labels_N
    )
    return Inspection.of(
        predicted_N=said_N,
        probability_N=random.uniform(0.4, 1, NUM_IMAGES),
        labels_N=labels_N,
        num_classes=num_classes,
        epoch=7,
    )


def _end(folder: Path, number: int, classes: tuple[str, ...], random: np.random.Generator) -> None:
    evidence = evidence_of(classes, random)
    kept = folder / MEASURED_FOLDER / names.trial_name(number) / "single"
    kept.mkdir(parents=True)
    evidence.write(kept)
    said_N = evidence.probabilities_NK.argmax(1)
    right_N = said_N == evidence.labels_N
    share = share_interval(int(right_N.sum()), NUM_IMAGES)
    scores = CalibrationScores(ece=0.05, log_loss=0.4, brier=0.2)
    test = TestResult(
        metrics={"accuracy": share, "macro_f1": replace(share, value=share.value - 0.01)},
        num_images=NUM_IMAGES,
        clean_metrics=None,
        num_clean=NUM_IMAGES,
        num_openings=1,
        classes=tuple(_class(evidence, said_N, label) for label in range(len(classes))),
        calibration=Calibration(temperature=1.2, before=scores, after=scores, is_registered=False),
        remarks=("the first weights know <i>some</i> of the test images",),
    )
    FinalResult(
        candidates=(Candidate(kind="single", trial=number, seeds=(), test=test, model="digits", version=2),),
        confirmed=(
            Confirmed(
                trial=number,
                search_value=0.86,
                values=(0.85, 0.84),
                mean=0.845,
                half_width=0.012,
                parameters_million=11.2,
                latency_ms=None,
                verdict="best mean: chosen",
                is_chosen=True,
            ),
        ),
    ).write(folder)


def _class(evidence: TestEvidence, said_N: np.ndarray, label: int) -> ClassResult:
    is_class_N = evidence.labels_N == label
    num = int(is_class_N.sum())
    recall: Interval = share_interval(int((said_N[is_class_N] == label).sum()), num)
    return ClassResult(
        name=evidence.classes[label],
        recall=recall,
        precision=None,
        num_images=num,
        num_predicted=int((said_N == label).sum()),
    )
