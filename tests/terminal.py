"""A small terminal: what a person sees of a program that draws, and a program that runs in one.

It knows the sequences that the view writes, and raises for others: nobody has thought of what a real terminal
makes of those.
"""

import codecs
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")
PATIENCE_SECONDS = 120.0


class Terminal:
    """Two screens, a cursor, and what scrolled off the first one."""

    def __init__(self, columns: int, lines: int) -> None:
        self.is_cursor_shown = True
        self.is_second_screen = False
        self.num_wrapped = 0
        """Lines of the second screen that reached its last column."""
        self.pictures: list[list[str]] = []
        """The second screen after each picture."""
        self.above: list[str] = []
        """What scrolled off the first screen."""
        self.resize(columns, lines)
        self._first, self._second = [""], [""]
        self._row = self._column = 0
        self._first_cursor = (0, 0)
        self._rest = ""

    def resize(self, columns: int, lines: int) -> None:
        """Another size, as where a person draws at a window's corner."""
        self.columns, self.num_lines = columns, lines

    @property
    def screen(self) -> list[str]:
        """The lines that are seen."""
        rows = self._second if self.is_second_screen else self._first
        return [row.rstrip() for row in rows]

    @property
    def text(self) -> str:
        """All that the first screen showed, and what scrolled off it."""
        return "\n".join([*self.above, *(row.rstrip() for row in self._first)])

    def feed(self, text: str) -> None:
        """Takes what a program writes."""
        text = self._rest + text
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    if len(text) - at < 16:
                        break  # the rest of it comes with the next piece
                    raise AssertionError(f"an unknown sequence: {text[at : at + 16]!r}")
                self._obey(found[1], found[2], found[3])
                at = found.end()
            else:
                self._put(text[at])
                at += 1
        self._rest = text[at:]

    def _obey(self, private: str, number: str, kind: str) -> None:
        match private, number, kind:
            case "?", "1049", "h":
                self._first_cursor = (self._row, self._column)
                self.is_second_screen, self._second = True, [""]
                self._row = self._column = 0
            case "?", "1049", "l":
                self.is_second_screen = False
                self._row, self._column = self._first_cursor
            case "?", "25", _:
                self.is_cursor_shown = kind == "h"
            case "?", "2026", "l":
                self.pictures.append(self.screen)
            case "?", "2026", "h":
                pass
            case "", "", "H":
                self._row = self._column = 0
            case "", "" | "0", "K":
                self._rows[self._row] = self._rows[self._row][: self._column]
            case "", "" | "0", "J":
                self._rows[self._row] = self._rows[self._row][: self._column]
                del self._rows[self._row + 1 :]
            case "", "2", "J":
                self._rows[:] = [""]
                self._rows.extend([""] * self._row)
            case "", _, "m":
                pass
            case _:
                raise AssertionError(f"an unknown sequence: {private}{number}{kind}")

    @property
    def _rows(self) -> list[str]:
        return self._second if self.is_second_screen else self._first

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            if self._row == len(self._rows):
                self._rows.append("")
            if self._row >= self.num_lines:
                gone = self._rows.pop(0)
                self._row -= 1
                if self.is_second_screen:
                    self.num_wrapped += 1
                else:
                    self.above.append(gone)
        else:
            row = self._rows[self._row]
            before = row.ljust(self._column)
            self._rows[self._row] = before[: self._column] + character + before[self._column + 1 :]
            self._column += cell_len(character)
            self.num_wrapped += self.is_second_screen and self._column >= self.columns


class InTerminal:
    """A program whose standard streams are a terminal of this size."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self.terminal = Terminal(columns, lines)
        ours, theirs = os.openpty()
        self._opened = ours
        self.resize(columns, lines)
        # The first terminal that the leader of a session opens is its own, so that Ctrl-C is a signal.
        opening = 'exec "$@" <"$TTY" >"$TTY" 2>&1'
        self.process = subprocess.Popen(
            ["sh", "-c", opening, "sh", *command],
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "TTY": os.ttyname(theirs), **environment},
        )
        self._theirs = theirs  # kept open: a terminal that nobody has open cannot be read
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def resize(self, columns: int, lines: int) -> None:
        """The person draws at the window's corner."""
        self.terminal.resize(columns, lines)
        fcntl.ioctl(self._opened, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """The person presses keys; Ctrl-C is \\x03."""
        os.write(self._opened, keys.encode())

    def wait_for(self, holds: Callable[[Terminal], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Returns once something is so."""
        deadline = time.monotonic() + seconds
        while not holds(self.terminal):
            shown = "\n".join(self.terminal.screen)
            assert time.monotonic() < deadline, f"{shown}\n{self.terminal.text}"
            time.sleep(0.05)

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The program's exit code, once all that it wrote is read."""
        code = self.process.wait(seconds)
        self._reading.join(5)
        return code

    def close(self) -> None:
        """Ends the program, where it runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reading.join(5)
        os.close(self._opened)
        os.close(self._theirs)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            has_ended = self.process.poll() is not None
            ready, _, _ = select.select([self._opened], [], [], 0.1)
            if ready:
                self.terminal.feed(decoder.decode(os.read(self._opened, 65536)))
            elif has_ended:
                return


def study_in_terminal(home: Path, *words: str, columns: int = 80, lines: int = 24) -> InTerminal:
    """The command line in a terminal."""
    command = [sys.executable, "-c", "from study.cli.main import main; main()", *words]
    return InTerminal(command, {"STUDY_HOME": str(home)}, columns, lines)
