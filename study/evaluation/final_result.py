"""The final result of a study: confirmed configurations, test results and registered versions."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from study import names
from study.evaluation.test_result import TestResult
from trainables.atomic import atomic_file

RESULT_FILE = "result.json"


Kind = Literal["single", "ensemble", "selected"]
"""One training, the mean of the probabilities of all its seeds, or of what was selected of all trainings."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A training of a selection."""

    trial: int
    seed: int | None
    """The further seed; None for the training of the search itself."""
    times: int
    """How often it counts in the mean, from 1."""


def made_of(trial: int, seeds: Sequence[int], parts: Sequence[Part]) -> str:
    """A candidate's name, which says what it consists of: trial-0007, trial-0007-seeds-1-2-3."""
    if parts:
        return names.selection_name([(part.trial, part.seed, part.times) for part in parts])
    return names.candidate_name(trial, seeds)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version that was measured on the test split and registered."""

    kind: Kind
    trial: int
    """The trial that has its configuration; of a selection, that of the single training beside it."""
    seeds: tuple[int, ...]
    """The further trainings that it consists of, from 1; empty for the training of the search itself."""
    test: TestResult
    model: str
    version: int
    num_folds: int | None = None
    """How many networks each training has, one for each fold; None without folds."""
    parts: tuple[Part, ...] = ()
    """Of a selection: the trainings that it consists of."""
    gain: str | None = None
    """What a selection gains on validation, in words."""
    latency_ms: float | None = None
    """To classify one image, on the machine that measured; None where it is not known."""

    @property
    def name(self) -> str:
        """What it consists of."""
        return made_of(self.trial, self.seeds, self.parts)


def measurement_name(candidates: Sequence[str]) -> str:
    """The name of what candidates are measured together: of the ensemble of all seeds, or of the single
    training where there is none, and of the selection beside it.
    """
    last = [name for name in candidates if not name.startswith("selection-")][-1]
    return "-beside-".join([last, *(name for name in candidates if name.startswith("selection-"))])


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A configuration that was trained again with further seeds."""

    trial: int
    search_value: float
    """The objective in the search; it is optimistic, as it was selected for being high."""
    values: tuple[float | None, ...]
    """The objective by further seed; None where that training has no result."""
    mean: float | None
    """Over the further seeds alone; None where no training has a result."""
    half_width: float | None
    """Half the width of the 95 % interval of the mean; None where too few trainings have a result."""
    parameters_million: float | None
    latency_ms: float | None
    """Where the study measures it."""
    verdict: str
    """Why it was chosen or not, in words."""
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class FinalResult:
    """The final result of a study."""

    candidates: tuple[Candidate, ...]
    """The single network first."""
    confirmed: tuple[Confirmed, ...]
    """The best mean first; empty where the study file has no `confirm`."""
    kind: Kind = "single"
    """Which candidate is the study's result: the version that lists name, and that is promoted unless a
    person names another one."""
    verdict: str | None = None
    """Why that one, in words; None where there is a single candidate."""

    @property
    def result(self) -> Candidate:
        """The candidate that is the study's result."""
        return next(candidate for candidate in self.candidates if candidate.kind == self.kind)

    @property
    def measurement(self) -> str:
        """The name of the folder that has what the candidates said of the test split."""
        return measurement_name([candidate.name for candidate in self.candidates])

    @property
    def trial(self) -> int:
        """The trial whose configuration was chosen."""
        return self.result.trial

    @property
    def test(self) -> TestResult:
        """Of the study's result."""
        return self.result.test

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return self.result.model

    @property
    def version(self) -> int:
        """Of the study's result."""
        return self.result.version

    def write(self, folder: Path) -> None:
        """Puts the result into the study's folder, whole or not at all."""
        with atomic_file(folder / RESULT_FILE) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "FinalResult | None":
        """The result in a study's folder; None where the study has not ended."""
        file = folder / RESULT_FILE
        if not file.exists():
            return None
        return TypeAdapter(cls).validate_json(file.read_bytes())
