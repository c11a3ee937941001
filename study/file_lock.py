"""A file that says that one process at a time works in a folder."""

import fcntl
from pathlib import Path
from typing import BinaryIO


def try_lock(file: Path) -> BinaryIO | None:
    """The lock of a file, which is made; None where another process has it.

    It ends when it is closed, or with this process. A file system without locks gives it to everybody. Raises
    OSError where the file cannot be written.
    """
    lock = file.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:
        pass
    return lock
