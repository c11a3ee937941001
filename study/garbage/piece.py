"""A piece of garbage, and since when nobody needed it."""

import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from study.errors import SpecError
from study.home import Home
from study.results.study_result import StudyResult, UnreadableStudy, list_studies
from study.search.record.storage import SPEC_FILE

Kind = Literal["weights", "checkpoints", "copies", "artifacts", "left behind", "jobs"]
KINDS: dict[Kind, str] = {
    "weights": "weights of finished studies that are not registered",
    "checkpoints": "checkpoints of trials that have ended",
    "copies": "copies of registered models and of published datasets",
    "artifacts": "MLflow's files of runs that were pruned, or deleted",
    "left behind": "what was left of datasets and studies half added or half removed",
    "jobs": "jobs that have ended, in the list of the cluster",
}
"""In the order in which they are told."""
_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Something that nothing needs."""

    kind: Kind
    where: str
    """Such as `study faces`."""
    what: str
    """Such as `3 files`."""
    num_bytes: int | None
    """None where nobody can tell."""
    delete: Callable[[], bool]
    """Deletes it, unless somebody needs it by now; says whether it did. Raises what a command may raise."""


@dataclass(frozen=True)
class Scope:
    """Where garbage is looked for, and how old it is at least."""

    home: Home
    seconds: float

    @property
    def before(self) -> float:
        """What was last needed before this moment is old: seconds since 1970."""
        return time.time() - self.seconds

    @cached_property
    def studies(self) -> tuple[StudyResult | UnreadableStudy, ...]:
        """All studies of the home."""
        return list_studies(self.home)

    @property
    def finished(self) -> tuple[StudyResult, ...]:
        """Studies that ended long ago, and that nobody drives."""
        return tuple(
            one
            for one in self.studies
            if isinstance(one, StudyResult) and self.is_over(one) and is_older(_records(one), self.before)
        )

    def is_over(self, study: StudyResult) -> bool:
        """Whether it has ended, also for MLflow, and nobody drives it."""
        return study.has_ended and study.is_end_told and study.driver is None

    @cached_property
    def needed_text(self) -> str:
        """The study files of all studies that run or can go on, which may name files and models."""
        needed = [
            one for one in self.studies if not (isinstance(one, StudyResult) and one.state == "finished")
        ]
        return "\n".join(map(_spec_text, needed))


def seconds_of(age: str) -> float:
    """The seconds of an age as a person writes it: 12h, 30d, 2w. Raises SpecError."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])", age.strip())
    if found is None:
        raise SpecError(
            f"--older-than is a number of hours, days or weeks, such as 12h, 30d or 2w, got {age!r}"
        )
    return float(found[1]) * _UNITS[found[2]]


def is_older(paths: Iterable[Path], moment: float) -> bool:
    """Whether nothing was written to any of these, or in them, since that moment."""
    for path in paths:
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        for one in (path, *inside):
            with suppress(FileNotFoundError):
                if one.lstat().st_mtime > moment:
                    return False
    return True


def _records(study: StudyResult) -> list[Path]:
    """Files of a study that change with it; its lock changes with whoever looks at it."""
    return [one for one in study.folder.iterdir() if one.is_file() and not one.name.endswith(".lock")]


def _spec_text(study: StudyResult | UnreadableStudy) -> str:
    with suppress(OSError):
        return (study.folder / SPEC_FILE).read_text(encoding="utf-8", errors="replace")
    return ""
