"""What happened in a study, as it is shown to whoever watches: lines of JSON in the study's folder."""

import json
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from study.search.record.trial import Trial
from study.stopping.early_stopping import EarlyStopping
from study.stopping.rungs import rung_epoch, rung_shares
from study.study_file.study_spec import StudySpec
from trainables.whole_lines import append_line

EVENTS_FILE = "events.jsonl"
MOST_BYTES = 64_000
"""Of the file's end, which is read."""

Kind = Literal["said", "best", "complete", "stopped", "paused", "promoted", "retried", "failed"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened."""

    kind: Kind
    """`said` is what the driver does; `best` is a trial that ended better than all before it, `complete` one
    that ended without being that; `promoted` one that passed a rung, or goes on after it waited."""
    text: str
    """For a person, on one line."""
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""


_EVENT = TypeAdapter(Event)


class EventLog:
    """The events of the study in a folder, for its driver to write."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / EVENTS_FILE
        self._said: str | None = None

    def say(self, text: str) -> None:
        """Notes what the driver does now; not again what it said last, as where it waits."""
        if text != self._said:
            self._said = text
            self.write(Event(kind="said", text=text))

    def write(self, event: Event) -> None:
        """Notes an event."""
        with suppress(OSError):  # nothing but a view lacks it
            append_line(self._file, json.dumps(asdict(event)))


class TrialEvents:
    """Finds out what happened to a trial, by what the record has of it now and had before."""

    def __init__(self, log: EventLog, spec: StudySpec, trials: Iterable[Trial]) -> None:
        """`trials` are those of earlier drivers, of which nothing is told."""
        self._log = log
        self._objective = spec.objective
        self._rungs = rung_epochs(spec.early_stopping, spec.budget.epochs)
        self._before: dict[int, Trial] = {}
        self._best: float | None = None
        for trial in trials:
            self._before[trial.number] = trial
            if trial.has_ended:
                self._is_best(trial)

    def note(self, trial: Trial, name: str, *, is_search: bool = True) -> tuple[Event, ...]:
        """Notes what happened to a trial, which is called `name`, and returns it. Trials that are none of the
        search are not ranked.
        """
        before = self._before.get(trial.number)
        self._before[trial.number] = trial
        if before is not None and before.has_ended:
            return ()
        found = self._changes(before, trial, name, is_ranked=is_search)
        for event in found:
            self._log.write(event)
        return found

    def _changes(
        self, before: Trial | None, trial: Trial, name: str, *, is_ranked: bool
    ) -> tuple[Event, ...]:
        found = []
        if before is not None and len(trial.retries) > len(before.retries):
            found.append(Event(kind="retried", text=f"{name} begins again: {trial.retries[-1]}"))
        if trial.has_ended:
            found.append(self._end(trial, name, is_best=is_ranked and self._is_best(trial)))
        elif trial.state == "paused" and (before is None or before.state != "paused"):
            why = "gives way to another study" if trial.gave_way else self._rung(trial, "waits at ", "waits")
            found.append(Event(kind="paused", text=f"{name} {why} after epoch {trial.last_epoch}"))
        elif trial.state == "running" and before is not None and before.state == "paused":
            found.append(Event(kind="promoted", text=f"{name} goes on after epoch {trial.last_epoch}"))
        elif self._has_passed_a_rung(before, trial):
            passed = self._rung(trial, "passed ", "passed a rung")
            found.append(Event(kind="promoted", text=f"{name} {passed}, epoch {trial.last_epoch}"))
        return tuple(found)

    def _end(self, trial: Trial, name: str, *, is_best: bool) -> Event:
        if trial.state in ("failed", "infeasible"):
            return Event(kind="failed", text=f"{name} {trial.state}: {trial.reason}")
        score = "" if trial.value is None else f"{self._objective.metric} {trial.value:.4f}"
        if trial.state == "complete":
            best = ", the best so far" if is_best else ""
            return Event(kind="best" if is_best else "complete", text=f"{name} complete: {score}{best}")
        where = self._rung(trial, " at ", "")
        best = f" ({score}, the best so far)" if is_best else ""
        return Event(
            kind="best" if is_best else "stopped", text=f"{name} stopped{where}{best}: {trial.reason}"
        )

    def _is_best(self, trial: Trial) -> bool:
        if trial.value is None or not trial.is_feasible or trial.state == "failed":
            return False
        merit = self._objective.merit(trial.value)
        if self._best is not None and merit <= self._best:
            return False
        self._best = merit
        return True

    def _has_passed_a_rung(self, before: Trial | None, trial: Trial) -> bool:
        came_from = 0 if before is None else before.last_epoch
        return trial.last_epoch in self._rungs and trial.last_epoch > came_from

    def _rung(self, trial: Trial, before: str, otherwise: str) -> str:
        if trial.last_epoch not in self._rungs:
            return otherwise
        return f"{before}rung {self._rungs.index(trial.last_epoch) + 1}"


def rung_epochs(early_stopping: EarlyStopping, num_epochs: int) -> tuple[int, ...]:
    """After which of its epochs a trial of `num_epochs` is compared at a rung; none under rules without."""
    if early_stopping.rule not in ("asha", "asha_pause", "hyperband"):
        return ()
    shares = rung_shares(early_stopping.first_rung, early_stopping.reduction)
    return tuple(sorted({rung_epoch(share, num_epochs) for share in shares} - {num_epochs}))


def last_events(folder: Path, num: int) -> tuple[Event, ...]:
    """The last events of the study in `folder`, the latest last; none where there is no file."""
    try:
        with (folder / EVENTS_FILE).open("rb") as file:
            file.seek(max(file.seek(0, 2) - MOST_BYTES, 0))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return ()
    found: deque[Event] = deque(maxlen=num)
    for line in lines:
        try:
            found.append(_EVENT.validate_json(line))
        except ValidationError:  # the end of a line, or one that a full disk tore off
            continue
    return tuple(found)
