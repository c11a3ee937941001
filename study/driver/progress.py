"""Progress of a study that this process drives: a view on a terminal, elsewhere a line for each trial
that has ended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.live.durations import clock
from study.live.events import EventLog, TrialEvents
from study.live.run_view import RunView
from study.live.showing import is_screen
from study.names import trial_name
from study.safe_console import SafeConsole, literal
from study.search.record.lineage import replaced
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec

_STYLES = {
    "complete": "green",
    "pruned": "yellow",
    "killed": "yellow",
    "failed": "red",
    "infeasible": "red",
    "running": "cyan",
    "paused": "blue",
    "waiting": "dim",
}
LONGEST_SILENCE_SECONDS = 20.0


class Progress:
    """Tells a person what a study is doing, on stderr so that stdout stays for results.

    On a terminal it is a view that fills it while the study runs; the lines come below once it has ended.
    Elsewhere each line comes at once.
    """

    def __init__(self, console: Console | None = None, *, is_plain: bool = False) -> None:
        """`is_plain` wants lines on a terminal, too."""
        self._console = console or SafeConsole(stderr=True)
        self._is_plain = is_plain
        self._started = self._said = time.monotonic()
        self._following: _Following | None = None
        self._kept: list[str] | None = None
        """Lines that come once the view has ended; None where there is no view."""
        self._running_view: RunView | None = None

    def say(self, text: str) -> None:
        """One line on what happens now."""
        self._print(text)
        if self._following is not None:
            self._following.log.say(self._console.render_str(text).plain)

    def say_last(self, text: str) -> None:
        """The reason why this process ends at once, wherever its other threads are; it ends the view."""
        if self._running_view is not None:
            self._running_view.end()
            self._print_kept()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def following(
        self, folder: Path, on_best: Callable[[Trial], object] = lambda trial: None
    ) -> Iterator[None]:
        """Inside, what happens in the study in `folder` is noted there for whoever watches it, and a terminal
        shows its view. `on_best` is called when a trial of the search ended better than all before it.
        """
        self._following = _Following(EventLog(folder), on_best)
        try:
            with self._view(folder):
                yield
        finally:
            self._following = None

    @contextmanager
    def watching(
        self,
        spec: StudySpec,
        record: StudyRecord,
        name: Callable[[int], str] = trial_name,
        *,
        is_search: bool = True,
    ) -> Iterator[Callable[[int], None]]:
        """While inside, call the yielded function with a trial's number whenever it reported.

        `name` says how trials are called; they are those of the search, or train its best again.
        """
        board, note = _Board(spec, record, name), self._noting(spec, record, name, is_search=is_search)

        def on_change(number: int) -> None:
            trial = board.take(number)
            note(trial)
            if trial.has_ended or self._is_overdue():
                self._print(board.sentence(trial))

        yield on_change

    def _noting(
        self, spec: StudySpec, record: StudyRecord, name: Callable[[int], str], *, is_search: bool
    ) -> Callable[[Trial], None]:
        following = self._following
        if following is None:
            return lambda trial: None
        log = TrialEvents(following.log, spec, record.trials)

        def note(trial: Trial) -> None:
            found = log.note(trial, name(trial.number), is_search=is_search)
            if any(event.kind == "best" for event in found):
                following.on_best(trial)

        return note

    def _print(self, text: str) -> None:
        self._said = time.monotonic()
        line = f"[dim]{clock(time.monotonic() - self._started):>6}[/dim]  {text}"
        if self._kept is None:
            self._print_line(line)
        else:
            self._kept.append(line)

    def _print_line(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    @contextmanager
    def _view(self, folder: Path) -> Iterator[None]:
        if self._is_plain or not is_screen(self._console):
            yield
            return
        self._kept = []
        self._running_view = RunView(folder, self._console)
        try:
            with self._running_view.shown():
                yield
        finally:
            self._running_view = None
            self._print_kept()

    def _print_kept(self) -> None:
        kept, self._kept = self._kept or [], None
        for line in kept:
            self._print_line(line)

    def _is_overdue(self) -> bool:
        """Whether nothing was said for a while, where no view shows that trials go on."""
        return self._kept is None and time.monotonic() - self._said > LONGEST_SILENCE_SECONDS


@dataclass(frozen=True)
class _Following:
    log: EventLog
    on_best: Callable[[Trial], object]


class _Board:
    """What is known of the running study, as it is shown."""

    def __init__(self, spec: StudySpec, record: StudyRecord, name: Callable[[int], str]) -> None:
        self._spec = spec
        self._record = record
        self._name = name
        self._trials: dict[int, Trial] = {
            trial.number: trial for trial in record.trials if trial.state != "waiting"
        }

    def take(self, number: int) -> Trial:
        self._trials[number] = self._record.trial(number)
        return self._trials[number]

    def sentence(self, trial: Trial) -> str:
        metric = self._spec.objective.metric
        value = f"{metric} {trial.value:.4f}" if trial.value is not None else ""
        best = self._best()
        ends = [
            f"{self._num_ended():>{len(str(self._spec.budget.trials))}}/{self._spec.budget.trials}",
            self._name(trial.number),
            f"[{_STYLES[trial.state]}]{trial.state:<8}[/]",
            f"{value:<{len(metric) + 7}}",
            f"{trial.last_epoch:>3}/{self._spec.budget.epochs} epochs",
            f"{clock(trial.seconds):>6}",
            f"best {best.value:.4f} ({self._name(best.number)})" if best and best.value is not None else "",
            f"[red]{literal(trial.reason)}[/]" if trial.state == "failed" else "",
            f"[dim]{literal(trial.reason)}[/]" if trial.number in replaced(self._trials.values()) else "",
        ]
        return "  ".join(part for part in ends if part)

    def _num_ended(self) -> int:
        return sum(trial.has_ended for trial in self._in_place())

    def _in_place(self) -> list[Trial]:
        """As many as the budget has trials: without those whose place another one took."""
        gone = replaced(self._trials.values())
        return [trial for trial in self._trials.values() if trial.number not in gone]

    def _best(self) -> Trial | None:
        valued = [
            trial
            for trial in self._trials.values()
            if trial.value is not None and trial.state not in ("failed", "infeasible")
        ]
        merit = self._spec.objective.merit
        return max(valued, key=lambda trial: merit(trial.value or 0.0), default=None)
