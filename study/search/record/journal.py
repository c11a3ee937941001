"""The journal file of a study: one line of JSON for each thing that was noted, written whole or not at all.

It reads what Optuna's own journal writes and the other way round, and differs in two respects: a line that
was torn off, as where the disk was full, is cut away by the next that is written, and equal texts are one
object in memory, however many lines have them.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

MAX_SHARED_CHARACTERS = 24
"""Longer values are hardly ever repeated."""


class JournalFile(BaseJournalBackend):
    """Appended to under a lock that works on network folders, too; read by any process at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = JournalFileSymlinkLock(str(file))
        self._read = (0, 0)
        """Lines read, and the byte after them."""

    @classmethod
    def create(cls, file: Path) -> "JournalFile":
        """An empty journal, where there is none yet."""
        file.touch()
        return cls(file)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Whole lines from a number on. Raises ValueError for one that is not JSON."""
        number, offset = self._read if self._read[0] <= log_number_from else (0, 0)
        with self._file.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):  # somebody writes it right now, or died doing so
                    return
                number, offset = number + 1, offset + len(line)
                self._read = (number, offset)
                if number > log_number_from:
                    yield json.loads(line, object_pairs_hook=_shared)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds lines; once this returns they are on the disk."""
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._lock.acquire()
        try:
            with self._file.open("r+b", buffering=0) as file:
                file.seek(_end_of_whole_lines(file))
                file.truncate()
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
        finally:
            self._lock.release()


def num_whole_lines(file: Path) -> tuple[int, int]:
    """How many lines of a journal are whole before the first that is not, and how many lines there are."""
    lines = file.read_bytes().splitlines()
    for number, line in enumerate(lines):
        try:
            json.loads(line)
        except ValueError:
            return number, len(lines)
    return len(lines), len(lines)


def _end_of_whole_lines(file: BinaryIO) -> int:
    """The byte after the last line that is whole."""
    end = file.seek(0, os.SEEK_END)
    if end == 0 or _bytes_at(file, end - 1, 1) == b"\n":
        return end
    file.seek(0)
    return file.read(end).rfind(b"\n") + 1


def _bytes_at(file: BinaryIO, offset: int, num: int) -> bytes:
    file.seek(offset)
    return file.read(num)


def _shared(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    intern = sys.intern
    return {
        intern(key): intern(value) if type(value) is str and len(value) <= MAX_SHARED_CHARACTERS else value
        for key, value in pairs
    }
