"""A finding of the doctor, and what it looks at."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from study.home import Home
from study.results.study_result import StudyResult, UnreadableStudy, list_studies
from study.search.record.driver_lock import driver_of

QUIET_SECONDS = 60.0
"""A file to which nobody wrote for so long is not being written."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    where: str
    """Such as `study faces`."""
    what: str
    mending: str
    """What mending does; where a person must do it, what to do."""
    mend: Callable[[], object] | None = None
    """None where only a person can mend it. Raises what a command may raise; then nothing was changed."""


@dataclass(frozen=True)
class Scope:
    """What the doctor looks at: a home, or what has one name in it."""

    home: Home
    name: str | None = None
    """Of a study, a dataset or a model; None for all of the home."""

    def covers(self, name: str) -> bool:
        """Whether something of that name is looked at."""
        return self.name in (None, name)

    @cached_property
    def resting(self) -> tuple[StudyResult | UnreadableStudy, ...]:
        """The studies that no process drives."""
        found = [one for one in list_studies(self.home) if driver_of(one.folder) is None]
        return tuple(one for one in found if self.covers(one.folder.name))

    @property
    def readable(self) -> tuple[StudyResult, ...]:
        """Those of them that can be read."""
        return tuple(one for one in self.resting if isinstance(one, StudyResult))


def is_quiet(path: Path) -> bool:
    """Whether nobody wrote to a file, a folder or a link for a while."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    try:
        latest: float = max(one.lstat().st_mtime for one in (path, *inside))
    except FileNotFoundError:  # somebody removes it right now
        return False
    return time.time() - latest > QUIET_SECONDS


def counted(num: int, noun: str) -> str:
    """Such as `1 file`, `3 files`."""
    return f"{num:,} {noun}{'' if num == 1 else 'es' if noun.endswith('s') else 's'}"
