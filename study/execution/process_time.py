"""What the process of trials spends its time on, from its first moment to each report."""

import os
import socket
import time
from dataclasses import replace

from study.search.record.trial_protocol import TrialReport
from trainables.training.stopwatch import Stopwatch


class ProcessTime:
    """Counts every moment of a process once: here, or in the epoch that its training yields."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._stopwatch = Stopwatch()
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._has_reported = False
        self._unfinished_seconds = 0.0
        """Of the epoch under way, which will say itself what they went into."""

    def lap(self, span: str) -> None:
        """Counts the time since the last lap as `span`."""
        self._stopwatch.lap(span)

    def begin_step(self) -> None:
        """The driver wants to hear of the trial again."""
        self._stopwatch.lap("idle" if self._has_reported else "start")

    def begin_trial(self) -> None:
        """Forgets the epoch that the last trial left: it is in its checkpoint."""
        self._unfinished_seconds = 0.0

    def end_advance(self) -> None:
        """The training was let go on, and has counted that itself."""
        self._unfinished_seconds += self._stopwatch.split()

    def end_epoch(self) -> None:
        """The training has said what its epoch took."""
        self._unfinished_seconds = 0.0

    def lose(self) -> None:
        """Counts what an error took, and the epoch that it ended."""
        self._stopwatch.add("lost", self._unfinished_seconds + self._stopwatch.split())
        self._unfinished_seconds = 0.0

    def stamped(self, report: TrialReport) -> TrialReport:
        """The report with what the process did since the last one."""
        self._has_reported = True
        return replace(
            report,
            process=self._process,
            process_seconds=time.perf_counter() - self._begun,
            spans=self._stopwatch.take(),
        )
