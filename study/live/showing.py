"""Watching a study from outside: its state is asked for again and again, shown, and left alone."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from cluster.errors import ClusterError
from study.errors import StudyError
from study.live.durations import clock
from study.live.events import Event
from study.live.screen import Screen
from study.live.state import LiveState
from study.live.view import View, event_line, summary

SECONDS_BETWEEN_PICTURES = 0.5
SECONDS_BEFORE_WAITING = 6.0
"""A state that is older is said to be: three times what lies between two."""
SECONDS_BETWEEN_SUMMARIES = 60.0
"""Where lines are printed and nothing happens."""
NUM_LAST_EVENTS = 8
"""Of a view that stays in the terminal."""

Source = Callable[[], LiveState]
"""Asks for the state now. Raises ClusterError where it may be had later, StudyError where it may not."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was heard of a study."""

    state: LiveState
    at: float
    """By the monotonic clock."""
    problem: str | None = None
    """Why nothing was heard since."""


def watch(source: Source, out: Console, *, place: str, seconds: float, is_plain: bool) -> LiveState:
    """Shows a study on `out` until nobody drives it any more, and returns its last state.

    On a terminal it is a view that fills it; `is_plain`, or where `out` is none, it is lines of what happens.
    The state is asked for every few `seconds`, of `place`, as a person calls it. Where that does not answer,
    the last state stays, with a line that says so. Raises what the source raises at first, and later a
    StudyError.
    """
    asking = _Asking(source, seconds)
    if is_plain or not is_screen(out):
        return _printed(asking, out, place)
    return _drawn(asking, out, place)


def is_screen(console: Console) -> bool:
    """Whether a console writes to a terminal on which a view can be drawn."""
    file = console.file
    return file.isatty() and not console.is_dumb_terminal


def print_state(state: LiveState, out: Console) -> None:
    """The view as lines that stay in the terminal, or in a file."""
    state = _with_few_events(state)
    for line in view_for(out).lines(state, min(out.width, 160), None):
        out.print(line, no_wrap=True, overflow="ellipsis", highlight=False)


def view_for(console: Console) -> View:
    """A view that the console's characters are enough for."""
    return View(is_ascii=not _has_blocks(console))


class _Asking:
    """Asks in a thread of its own, as an answer may take long."""

    def __init__(self, source: Source, seconds: float) -> None:
        """Asks once. Raises what the source raises."""
        self._source = source
        self._seconds = seconds
        self.heard = Heard(state=source(), at=time.monotonic())
        self.error: StudyError | None = None
        """Why there will be no further state."""
        threading.Thread(target=self._ask, name="watching", daemon=True).start()

    def _ask(self) -> None:
        took = 0.0
        while self.heard.state.is_driven:
            time.sleep(max(self._seconds, took))
            begun = time.monotonic()
            try:
                self.heard = Heard(state=self._source(), at=time.monotonic())
            except ClusterError as error:
                self.heard = Heard(state=self.heard.state, at=self.heard.at, problem=str(error))
            except StudyError as error:
                self.error = error
                return
            took = time.monotonic() - begun

    def waits(self) -> float | None:
        """For how many seconds nothing was heard; None where that is as it should be."""
        silent = time.monotonic() - self.heard.at
        return silent if silent > SECONDS_BEFORE_WAITING + self._seconds else None


def _drawn(asking: _Asking, out: Console, place: str) -> LiveState:
    screen, view = Screen(out), view_for(out)
    leave = Text("Ctrl-C ends this view alone; the study goes on.", style="dim")
    try:
        screen.enter()
        while asking.heard.state.is_driven:
            if asking.error is not None:
                raise asking.error
            waiting = [_waiting_line(asking, place)] if asking.waits() is not None else []
            size = screen.size
            screen.draw(view.lines(asking.heard.state, size[0] - 1, size[1], [*waiting, leave]), size)
            time.sleep(SECONDS_BETWEEN_PICTURES)
    finally:
        screen.leave()
    return asking.heard.state


def _waiting_line(asking: _Asking, place: str) -> Text:
    silent = clock(asking.waits() or 0.0)
    return Text(f"waiting: no answer for {silent} from {place}; above is its last", style="yellow")


def _printed(asking: _Asking, out: Console, place: str) -> LiveState:
    told, said_at, is_waiting = asking.heard.state.events[-NUM_LAST_EVENTS:], 0.0, False
    _print_events(told, out, asking.heard.state.time)
    last = told[-1].time if told else 0.0
    while True:
        state = asking.heard.state
        new = [event for event in state.events if event.time > last]
        _print_events(new, out, state.time)
        last = new[-1].time if new else last
        if not state.is_driven:
            _print_line(out, Text(summary(state)))
            return state
        if asking.error is not None:
            raise asking.error
        if new or time.monotonic() - said_at > SECONDS_BETWEEN_SUMMARIES:
            said_at = time.monotonic()
            _print_line(out, Text(summary(state)))
        if is_waiting != (asking.waits() is not None):
            is_waiting = not is_waiting
            _print_line(out, _waiting_line(asking, place) if is_waiting else Text(f"{place} answers again"))
        time.sleep(SECONDS_BETWEEN_PICTURES)


def _print_events(events: Sequence[Event], out: Console, now: float) -> None:
    for event in events:
        _print_line(out, event_line(event.kind, event.text, event.time, now))


def _print_line(out: Console, line: Text) -> None:
    out.print(line, soft_wrap=True, highlight=False)


def _with_few_events(state: LiveState) -> LiveState:
    return replace(state, events=state.events[-NUM_LAST_EVENTS:])


def _has_blocks(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
