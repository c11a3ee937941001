"""The view of a study in the terminal of its own driver."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from study.errors import StudyError
from study.live.reading import LiveReader
from study.live.screen import Screen
from study.live.showing import view_for
from study.live.state import LiveState

SECONDS_BETWEEN_STATES = 0.5
TIMES_AS_LONG = 20
"""As drawing took, it rests: of thousands of trials, which take long, the driver keeps its time."""

JOIN_SECONDS = 2.0


class RunView:
    """Reads the study's folder as somebody else's process would, in a thread of its own: no trial waits for
    it, and no fault of it reaches the study.
    """

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._screen = Screen(console)
        self._view = view_for(console)
        self._has_ended = threading.Event()
        self._drawing = threading.Thread(target=self._draw_until_ended, name="view", daemon=True)
        name = folder.name
        self._note = Text(
            f"Ctrl-C stops the study in order; study resume {name} goes on with it.", style="dim"
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the view for as long as the block runs; then the terminal is as it was."""
        self._screen.enter()
        self._drawing.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Ends the view, from whichever thread; a second time does nothing."""
        self._has_ended.set()
        self._drawing.join(JOIN_SECONDS)
        self._screen.leave()

    def _draw_until_ended(self) -> None:
        reader: LiveReader | None = None
        took = 0.0
        while not self._has_ended.wait(max(SECONDS_BETWEEN_STATES, TIMES_AS_LONG * took)):
            begun = time.monotonic()
            try:
                reader = reader or LiveReader(self._folder)
                self._draw(reader.read(), [])
            except StudyError as error:  # such as a database that does not answer at this moment
                reader = None
                self._draw(None, [Text(str(error), style="yellow")])
            except OSError:  # the terminal is gone
                return
            took = time.monotonic() - begun

    def _draw(self, state: LiveState | None, notes: list[Text]) -> None:
        if self._has_ended.is_set():
            return
        size = self._screen.size
        notes = [*notes, self._note]
        lines = notes if state is None else self._view.lines(state, size[0] - 1, size[1], notes)
        self._screen.draw([line[: size[0] - 1] for line in lines], size)
