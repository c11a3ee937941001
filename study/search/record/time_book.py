"""What the processes of trials spend their time on, noted with each trial in the study's record."""

import time
from collections.abc import Mapping

from study.search.record.study_record import StudyRecord
from study.search.record.trial import SPANS
from study.search.record.trial_protocol import TrialReport
from trainables.training.stopwatch import added

SECONDS_BETWEEN_NOTES = 30.0
"""So much of a trial that goes on a driver that dies may leave unrecorded; noting each epoch would double
what the record of a study with short ones takes."""
LEAST_SECONDS = 0.001
"""What took less is not noted."""


class TimeBook:
    """Adds up, for each trial, the seconds that each process says it spent on what.

    Of one execution of a study: its first report tells how long a process took to come up.
    """

    def __init__(self, record: StudyRecord) -> None:
        self._record = record
        self._handed_out: dict[int, float] = {}
        self._processes: set[str] = set()
        """Those that have reported."""
        self._spans: dict[int, dict[str, dict[str, float]]] = {}
        """Of trials that go on, by process."""
        self._noted: dict[int, float] = {}
        """When it was last, of the same."""

    def hand_out(self, number: int) -> None:
        """A process takes a trial from now on, a new one maybe."""
        self._handed_out[number] = time.monotonic()

    def take(self, number: int, report: TrialReport, *, is_repeated: bool) -> None:
        """Adds what a trial's process reported; of an epoch that `is_repeated` it was added before."""
        if report.process is None:
            return
        found = dict(report.spans)
        if report.process not in self._processes:
            self._processes.add(report.process)
            found = added(found, {"start": self._start_seconds(number, report)})
        if report.epoch is not None and not is_repeated:
            found = added(found, report.epoch.spans)
        by_process = self._spans.setdefault(number, self._recorded(number))
        by_process[report.process] = added(by_process.get(report.process, {}), found)
        now = time.monotonic()
        if now - self._noted.setdefault(number, now) >= SECONDS_BETWEEN_NOTES:
            self._noted[number] = now
            self._write(number)

    def close(self, number: int) -> None:
        """Notes what there is of a trial that ends, or leaves its process."""
        self._write(number)
        self._spans.pop(number, None)
        self._noted.pop(number, None)

    def _start_seconds(self, number: int, report: TrialReport) -> float:
        """From the trial's being handed out to the moment from which its process measures."""
        now = time.monotonic()
        return max(now - self._handed_out.get(number, now) - report.process_seconds, 0.0)

    def _recorded(self, number: int) -> dict[str, dict[str, float]]:
        return {process: dict(spans) for process, spans in spans_of(self._record.trial(number).facts).items()}

    def _write(self, number: int) -> None:
        by_process = self._spans.get(number)
        if by_process is None or self._record.trial(number).has_ended:
            return
        rounded = {
            process: {span: round(seconds, 3) for span, seconds in spans.items() if seconds >= LEAST_SECONDS}
            for process, spans in by_process.items()
        }
        self._record.note_trial(number, **{SPANS: rounded})


def spans_of(facts: Mapping[str, object]) -> Mapping[str, Mapping[str, float]]:
    """Seconds by process and span among the facts of a trial; empty where it was not measured."""
    found = facts.get(SPANS, {})
    assert isinstance(found, Mapping)
    return found
