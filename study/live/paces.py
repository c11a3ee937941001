"""How far the trials of a study are within their epochs, and what it has of the cluster: one small file in
its folder, which its driver writes every few seconds.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from study.search.record.trial_protocol import Pace, TrialReport
from trainables.atomic import atomic_file

OnReport = Callable[[int, TrialReport], None]
"""Is told what each trial reports, by its number."""
PACES_FILE = "paces.json"
SECONDS_BETWEEN_WRITES = 2.0
SECONDS_BETWEEN_COUNTS = 15.0
"""Of the cluster's machines."""


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What a study can train on, and what one of its trials takes."""

    num_cpus: float = 0.0
    num_gpus: float = 0.0
    gpus_by_kind: Mapping[str, float] = field(default_factory=dict)
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Paces:
    """What the file holds."""

    paces: Mapping[int, Pace] = field(default_factory=dict)
    """By number of the trial, also of trials that have ended since."""
    times: Mapping[int, float] = field(default_factory=dict)
    """When each was measured, in seconds since 1970."""
    devices: Devices | None = None

    @classmethod
    def read(cls, folder: Path) -> "Paces":
        """Those of the driver that drives the study, or drove it last; empty where there is no file."""
        try:
            return _PACES.validate_json((folder / PACES_FILE).read_bytes())
        except (OSError, ValidationError):
            return cls()


_PACES = TypeAdapter(Paces)


class PaceWriter:
    """Takes what trials report; another thread writes it, so that no trial waits for a disk."""

    def __init__(self, folder: Path, count: Callable[[], Devices]) -> None:
        """`count` says what the study can train on; it is asked by whoever reports."""
        self._folder = folder
        self._count = count
        self._counted: tuple[float, Devices] | None = None
        self._paces: dict[int, tuple[Pace, float]] = {}
        self._guard = threading.Lock()
        self._has_news = threading.Event()
        self._has_ended = threading.Event()

    def take(self, number: int, report: TrialReport) -> None:
        """Notes what a trial reported."""
        counted = self._counted
        if counted is None or time.monotonic() - counted[0] > SECONDS_BETWEEN_COUNTS:
            counted = self._counted = (time.monotonic(), self._count())
        with self._guard:
            if report.pace is None or report.state != "running":
                self._paces.pop(number, None)
            else:
                self._paces[number] = (report.pace, time.time())
        self._has_news.set()

    def write_until_ended(self) -> None:
        """Writes the file whenever something changed, at most once in two seconds."""
        while not self._has_ended.is_set():
            self._has_news.wait()
            self._has_news.clear()
            with suppress(OSError):  # nothing but a view lacks it
                self._write()
            self._has_ended.wait(SECONDS_BETWEEN_WRITES)

    def end(self) -> None:
        """Lets the thread that writes come to its end."""
        self._has_ended.set()
        self._has_news.set()

    def _write(self) -> None:
        with self._guard:
            paces = dict(self._paces)
        counted = self._counted
        content = Paces(
            paces={number: pace for number, (pace, _) in paces.items()},
            times={number: moment for number, (_, moment) in paces.items()},
            devices=None if counted is None else counted[1],
        )
        with atomic_file(self._folder / PACES_FILE) as unfinished:
            unfinished.write_bytes(_PACES.dump_json(content))


@contextmanager
def written_paces(folder: Path, count: Callable[[], Devices]) -> Iterator[PaceWriter]:
    """Writes what the trials of the study in `folder` report for as long as the block runs; then the file
    goes.
    """
    writer = PaceWriter(folder, count)
    thread = threading.Thread(target=writer.write_until_ended, name="paces", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        writer.end()
        thread.join(SECONDS_BETWEEN_WRITES)
        (folder / PACES_FILE).unlink(missing_ok=True)
