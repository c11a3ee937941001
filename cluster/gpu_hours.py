"""The GPU hours that each person used in a month, kept in a small file that survives the queue."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

SECONDS_BETWEEN_WRITES = 60.0
"""A queue that is killed forgets what was used since."""
_HOURS = TypeAdapter(dict[str, dict[str, float]])
"""By month, such as 2026-11, and by person."""


class GpuHours:
    """What people used, by calendar month in UTC. One process counts, the queue; not for several threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Knows nothing yet. `clock` tells seconds since 1970."""
        self._clock = clock
        self._file: Path | None = None
        self._hours: dict[str, dict[str, float]] = {}
        self._written = clock()
        self.problem: str | None = None
        """Why the hours are not kept; None where they are, or need not be."""

    def keep_in(self, file: Path | None) -> None:
        """Goes on from what the file has, and keeps the hours there; None keeps them in memory alone."""
        if file == self._file:
            return
        self._file = file
        if file is None:
            self.problem = None
            return
        try:
            self._add(_HOURS.validate_json(file.read_bytes()))
        except FileNotFoundError:
            self.problem = None
        except (OSError, ValidationError) as error:
            # Writing over it would lose what it may still hold.
            self._file, self.problem = None, f"gpu_hours_file {file} cannot be read: {_line(error)}"
        else:
            self.problem = None

    def count(self, used: Mapping[str, float]) -> None:
        """Adds GPU seconds by person, and writes from time to time."""
        month = self._hours.setdefault(self._month(), {})
        for user, seconds in used.items():
            if seconds:
                month[user] = month.get(user, 0.0) + seconds / 3600
        if self._clock() - self._written >= SECONDS_BETWEEN_WRITES:
            self.write()

    def this_month(self, user: str) -> float:
        """GPU hours that the person used since the month began."""
        return self._hours.get(self._month(), {}).get(user, 0.0)

    def write(self) -> None:
        """Writes the file, whole or not at all; a disk that is full is a problem, no error."""
        self._written = self._clock()
        if self._file is None:
            return
        unfinished = self._file.with_name(f"{self._file.name}.unfinished")
        try:
            unfinished.write_text(json.dumps(self._hours, indent=1, sort_keys=True), encoding="utf-8")
            unfinished.replace(self._file)
            self.problem = None
        except OSError as error:
            self.problem = f"gpu_hours_file {self._file} cannot be written: {_line(error)}"

    def _add(self, kept: Mapping[str, Mapping[str, float]]) -> None:
        for month, people in kept.items():
            hours = self._hours.setdefault(month, {})
            for user, own in people.items():
                hours[user] = hours.get(user, 0.0) + own

    def _month(self) -> str:
        return time.strftime("%Y-%m", time.gmtime(self._clock()))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
