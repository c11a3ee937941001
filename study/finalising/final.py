"""What a study came to: what was confirmed, how its candidates did on the test split, and their versions; kept in its folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A measured value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class on the test split."""

    name: str
    recall: Interval | None
    """Share of its images that were recognised; None where it has none."""
    precision: Interval | None
    """Share of right ones among the images taken for it; None where none was."""
    num_images: int
    num_predicted: int
    """Images taken for it."""


@dataclass(frozen=True, kw_only=True)
class CalibrationScores:
    """How far probabilities can be taken at their word; of each, less is better."""

    ece: float
    """Expected calibration error of the most probable class, in [0, 1] (15 bins of equal width, arXiv:1706.04599)."""
    log_loss: float
    brier: float
    """Sum over classes of the squared error of the probability, mean over images, in [0, 2]."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The probabilities with and without temperature scaling. Its labels are the same both ways."""

    temperature: float
    """Fitted to the validation split."""
    before: CalibrationScores
    after: CalibrationScores
    is_registered: bool
    """Whether the registered version applies the temperature: where its recipe asks for it (`calibration: temperature`)."""


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One candidate on the sealed test split."""

    __test__ = False  # its name is the field's; it is no test class

    metrics: Mapping[str, Interval]
    """By the names of `trainables.metrics.METRICS`. Of a result that the first version wrote, the accuracy alone."""
    num_images: int
    clean_metrics: Mapping[str, Interval] | None
    """On images with no equal in train or validation; None if all images are, or none is."""
    num_clean: int
    num_openings: int
    """How often this test split had been opened, this time included."""
    classes: tuple[ClassResult, ...]
    """In the dataset's order."""
    calibration: Calibration | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What was measured on the test split and registered."""

    kind: Literal["single", "ensemble"]
    """One trained network, or the mean of the probabilities of several."""
    trial: int
    """Whose configuration it has."""
    seeds: tuple[int, ...]
    """Which of the configuration's further trainings it is made of, from 1; empty for the training of the search itself."""
    test: TestResult
    model: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A configuration that was trained again with further seeds."""

    trial: int
    search_value: float
    """The objective that the search saw. It was selected for being high, so it is more than the configuration is worth."""
    values: tuple[float | None, ...]
    """The objective by further seed; None where that training came to no result."""
    mean: float | None
    """Over the further seeds alone; None where none came to a result."""
    half_width: float | None
    """Of the 95 % interval of the mean; None where too few came to a result to know their spread."""
    parameters_million: float | None
    latency_ms: float | None
    """Where the study measures it."""
    verdict: str
    """What was made of it, in words."""
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class Final:
    """What a study came to."""

    candidates: tuple[Candidate, ...]
    """The single network first."""
    confirmed: tuple[Confirmed, ...]
    """The best mean first; empty where the study file asks for no confirmation."""

    @property
    def trial(self) -> int:
        """Whose configuration was chosen."""
        return self.candidates[0].trial

    @property
    def test(self) -> TestResult:
        """Of the single network."""
        return self.candidates[0].test

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return self.candidates[0].model

    @property
    def version(self) -> int:
        """Of the single network."""
        return self.candidates[0].version

    def write(self, folder: Path) -> None:
        """Puts the result into the study's folder, whole or not at all."""
        unfinished = folder / f"{RESULT_FILE}.{os.getpid()}"
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        unfinished.replace(folder / RESULT_FILE)

    @classmethod
    def read(cls, folder: Path) -> "Final | None":
        """The result in a study's folder; None where the study has not come to one."""
        file = folder / RESULT_FILE
        if not file.exists():
            return None
        tree = json.loads(file.read_text(encoding="utf-8"))
        if "candidates" not in tree:
            return _of_first_version(tree)
        return cls(candidates=tuple(map(_candidate, tree["candidates"])), confirmed=tuple(map(_confirmed, tree["confirmed"])))


def read_test_result(tree: Mapping[str, Any]) -> TestResult:
    """The result that `asdict` turned into plain values."""
    calibration, clean = tree["calibration"], tree["clean_metrics"]
    return TestResult(
        **{
            **tree,
            "metrics": _intervals(tree["metrics"]),
            "clean_metrics": None if clean is None else _intervals(clean),
            "classes": tuple(_class_result(row) for row in tree["classes"]),
            "calibration": None if calibration is None else _calibration(calibration),
        }
    )


def _candidate(tree: Mapping[str, Any]) -> Candidate:
    return Candidate(**{**tree, "seeds": tuple(tree["seeds"]), "test": read_test_result(tree["test"])})


def _confirmed(tree: Mapping[str, Any]) -> Confirmed:
    return Confirmed(**{**tree, "values": tuple(tree["values"])})


def _class_result(tree: Mapping[str, Any]) -> ClassResult:
    return ClassResult(**{**tree, "recall": _interval(tree["recall"]), "precision": _interval(tree["precision"])})


def _calibration(tree: Mapping[str, Any]) -> Calibration:
    return Calibration(**{**tree, "before": CalibrationScores(**tree["before"]), "after": CalibrationScores(**tree["after"])})


def _intervals(tree: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval(**interval) for name, interval in tree.items()}


def _interval(tree: Mapping[str, float] | None) -> Interval | None:
    return None if tree is None else Interval(**tree)


def _of_first_version(tree: Mapping[str, Any]) -> Final:
    """A result from before candidates: one network, and an interval of its accuracy alone."""
    test = tree["test"]
    accuracy = Interval(value=test["metrics"]["accuracy"], low=test["accuracy_low"], high=test["accuracy_high"])
    result = TestResult(
        metrics={"accuracy": accuracy},
        num_images=test["num_images"],
        clean_metrics=None,
        num_clean=test["num_clean"],
        num_openings=test["num_openings"],
        classes=(),
        calibration=None,
    )
    candidate = Candidate(kind="single", trial=tree["trial"], seeds=(), test=result, model=tree["model"], version=tree["version"])
    return Final(candidates=(candidate,), confirmed=())
