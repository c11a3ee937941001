"""Progress on the terminal: a live table where there is one, a line for each ended trial where there is
not.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
MAX_RUNNING_SHOWN = 12
LONGEST_SILENCE_SECONDS = 20.0


class Progress:
    """Tells a person what a study is doing, on stderr so that stdout stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or SafeConsole(stderr=True)
        self._started = self._said = time.monotonic()

    def say(self, text: str) -> None:
        """One line on what happens now."""
        self._said = time.monotonic()
        self._console.print(
            f"[dim]{_clock(time.monotonic() - self._started):>6}[/dim]  {text}",
            highlight=False,
            soft_wrap=True,
        )

    @contextmanager
    def watching(
        self, spec: StudySpec, record: StudyRecord, name: Callable[[int], str] = trial_name
    ) -> Iterator[Callable[[int], None]]:
        """While inside, call the yielded function with a trial's number whenever it reported.

        `name` says how trials are called.
        """
        board = _Board(spec, record, name)
        with self._live(board):

            def on_change(number: int) -> None:
                trial = board.take(number)
                if trial.has_ended or self._is_overdue():
                    self.say(board.sentence(trial))

            yield on_change

    def _is_overdue(self) -> bool:
        """Whether nothing was said for a while, where no live table shows that trials go on."""
        return not self._console.is_terminal and time.monotonic() - self._said > LONGEST_SILENCE_SECONDS

    def _live(self, board: "_Board") -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        return Live(get_renderable=board.draw, console=self._console, refresh_per_second=2, transient=True)


class _Board:
    """What is known of the running study, as it is shown."""

    def __init__(self, spec: StudySpec, record: StudyRecord, name: Callable[[int], str]) -> None:
        self._spec = spec
        self._record = record
        self._name = name
        self._trials: dict[int, Trial] = {
            trial.number: trial for trial in record.trials if trial.state != "waiting"
        }
        self._epochs_before = self._epochs_settled()
        self._started = time.monotonic()

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
            f"{_clock(trial.seconds):>6}",
            f"best {best.value:.4f} ({self._name(best.number)})" if best and best.value is not None else "",
            f"[red]{literal(trial.reason)}[/]" if trial.state == "failed" else "",
            f"[dim]{literal(trial.reason)}[/]" if trial.number in replaced(self._trials.values()) else "",
        ]
        return "  ".join(part for part in ends if part)

    def draw(self) -> RenderableType:
        spec = self._spec
        ended = self._num_ended()
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(spec.study, style="bold"),
            f"{ended} of {spec.budget.trials} trials",
            ProgressBar(
                total=spec.budget.trials * spec.budget.epochs, completed=self._epochs_settled(), width=30
            ),
            f"{_clock(time.monotonic() - self._started)} so far, {self._remaining()}",
        )
        running = Table.grid(padding=(0, 2))
        for trial in [trial for trial in self._trials.values() if trial.state == "running"][
            :MAX_RUNNING_SHOWN
        ]:
            value = "" if trial.value is None else f"{spec.objective.metric} {trial.value:.4f}"
            bar = ProgressBar(total=spec.budget.epochs, completed=trial.last_epoch, width=20)
            running.add_row(
                self._name(trial.number), bar, f"epoch {trial.last_epoch}/{spec.budget.epochs}", value
            )
        return Group(Text(), head, running)

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
        sign = 1 if self._spec.objective.maximise else -1
        return max(valued, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def _epochs_settled(self) -> int:
        """Epochs that are done, or that a trial which ended early will not need."""
        return sum(
            self._spec.budget.epochs if trial.has_ended else trial.last_epoch for trial in self._in_place()
        )

    def _remaining(self) -> str:
        settled = self._epochs_settled()
        if settled <= self._epochs_before:
            return "remaining time not known yet"
        left = self._spec.budget.trials * self._spec.budget.epochs - settled
        return (
            f"about {_clock((time.monotonic() - self._started) / (settled - self._epochs_before) * left)} to "
            "go"
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
