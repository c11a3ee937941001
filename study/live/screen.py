"""A terminal's second screen, on which a view is drawn: what stood in the terminal before comes back when it
ends.

Each picture is written in one go, and over the one before, so that nothing flickers; only a picture that
differs is written at all.
"""

import os
from collections.abc import Sequence
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""The second screen, no cursor, nothing on it."""
_LEAVE = "\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h\x1b[H", "\x1b[?2026l"
"""Around a picture: a terminal that knows this shows it in one go. Others pass over it."""
_REST_OF_LINE, _REST_OF_SCREEN = "\x1b[K", "\x1b[J"
FALLBACK = (80, 24)
"""Columns and lines of a terminal that does not say."""


class Screen:
    """The second screen of the terminal behind a console, from `enter` to `leave`.

    Not for several threads.
    """

    def __init__(self, console: Console) -> None:
        """`console` writes to a terminal."""
        self._console = console
        self._file: TextIO = console.file  # type: ignore[assignment]  # rich says IO[str]
        self._is_in = False
        self._shown: tuple[tuple[int, int], str] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that the terminal has at this moment."""
        try:
            size = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):
            return FALLBACK
        return (size.columns, size.lines) if size.columns and size.lines else FALLBACK

    def enter(self) -> None:
        """Goes to the second screen, where the terminal is not there already."""
        if not self._is_in:
            self._is_in = True
            self._write(_ENTER)

    def draw(self, lines: Sequence[Text], size: tuple[int, int]) -> None:
        """Shows lines, of which no more are given than `size` is high; none reaches its last column, behind
        which terminals differ.
        """
        picture = self._picture(lines, size[0] - 1)
        if self._shown == (size, picture):
            return
        # After a change of the size the terminal may have wrapped or moved what it shows.
        clear = "" if self._shown is None or self._shown[0] == size else "\x1b[2J"
        self._shown = (size, picture)
        self._write(f"{_BEGIN}{clear}{picture}{_REST_OF_SCREEN}{_END}")

    def leave(self) -> None:
        """Goes back to what the terminal showed before."""
        if self._is_in:
            self._is_in, self._shown = False, None
            self._write(_LEAVE)

    def _picture(self, lines: Sequence[Text], width: int) -> str:
        drawn = Console(
            file=StringIO(),
            force_terminal=True,
            color_system=self._console.color_system,  # type: ignore[arg-type]  # one of its own names
            width=width,
            highlight=False,
            legacy_windows=False,
        )
        rows = []
        for line in lines:
            with drawn.capture() as captured:
                drawn.print(line, end="", no_wrap=True, overflow="crop", crop=True)
            rows.append(captured.get() + _REST_OF_LINE)
        return "\r\n".join(rows)

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
