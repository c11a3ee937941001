"""Earlier studies of this home, as far as a quote learns from them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.home import Home
from study.search.record.storage import JOURNAL_FILE, SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec

MOST_STUDIES = 12
MOST_BYTES = 20_000_000
"""Of records that are read: more would take longer than a person waits for a check."""


BESIDE_FACT = "seconds_beside_trials"
"""What a study's record says it took beside its trials: `start`, from the command to the first step, and
`end`, from the last step to the result."""


@dataclass(frozen=True, kw_only=True)
class EarlierStudy:
    """One that has trials which ended."""

    spec: StudySpec
    trials: tuple[Trial, ...]
    """Those that have reported an epoch."""
    facts: dict[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether its search came to its end, so that its epochs are those that its rule left."""
        return len(self.trials) >= self.spec.budget.trials and all(trial.has_ended for trial in self.trials)


def earlier_studies(home: Home, besides: str) -> tuple[EarlierStudy, ...]:
    """The latest studies of the home, those that keep their record in their folder, but for one of that name;
    those that cannot be read say nothing.
    """
    return tuple(_read(home, besides))


def _read(home: Home, besides: str) -> Iterator[EarlierStudy]:
    folders = [file.parent for file in home.studies.glob(f"*/{JOURNAL_FILE}") if file.parent.name != besides]
    num_bytes = 0
    for folder in sorted(folders, key=_changed, reverse=True)[:MOST_STUDIES]:
        with suppress(OSError):
            num_bytes += os.path.getsize(folder / JOURNAL_FILE)
        if num_bytes > MOST_BYTES:
            return
        found = _study(folder)
        if found is not None:
            yield found


def _study(folder: Path) -> EarlierStudy | None:
    try:
        record = StudyRecord.open(folder)
        trials = tuple(trial for trial in record.trials if trial.values)
        return EarlierStudy(spec=StudySpec.read(folder / SPEC_FILE), trials=trials, facts=record.facts)
    except Exception:  # noqa: BLE001  a damaged record has its own command, `study doctor`
        return None


def _changed(folder: Path) -> float:
    try:
        return (folder / JOURNAL_FILE).stat().st_mtime
    except OSError:  # it was removed in the meantime
        return 0.0
