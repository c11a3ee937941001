"""Files to which lines are appended, each whole or not at all."""

import fcntl
import os
from pathlib import Path


def append_line(file: Path, line: str) -> None:
    """Adds a line, in place of what a dying process or a full disk left of an earlier one.

    Of several processes that append at once, each adds its own.
    """
    with file.open("ab+", buffering=0) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        opened.seek(0)
        opened.truncate(opened.read().rfind(b"\n") + 1)
        content = f"{line}\n".encode()
        while content:
            content = content[opened.write(content) :]
        os.fsync(opened.fileno())


def whole_lines(file: Path) -> list[str]:
    """The lines of a file, without one that is being written; none where there is no file."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].decode().splitlines()
