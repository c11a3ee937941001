"""Space on the disk for what a study writes: checked before it begins, and named where it ends while the
study runs.
"""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from study.errors import StudyError
from study.home import Home

MIN_FREE_BYTES = 200_000_000
"""Free space that a study needs to begin: the weights and checkpoints of a few small trials."""


def check_disk_space(home: Home, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """Raises StudyError if the home cannot be written, or is nearly full; leaves nothing there."""
    trial_file = home.folder / f".write-test-{token_hex(4)}"
    try:
        home.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home.folder).free
        if free >= min_free_bytes:
            _write_and_delete(trial_file)
    except OSError as error:
        raise StudyError(
            f"STUDY_HOME={home.folder} cannot be written ({error}); make room there, or name another folder"
        ) from None
    if free < min_free_bytes:
        raise StudyError(
            f"STUDY_HOME={home.folder} has {free / 1e6:,.0f} MB left, a study needs "
            f"{min_free_bytes / 1e6:,.0f} MB; "
            "delete what is not needed there, or name another folder"
        )


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder and below it; files that go meanwhile count nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def size_text(num_bytes: int) -> str:
    """A size for a person: `12.3 MB`, `87 kB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:,.1f} {unit}"
    return f"{num_bytes / 1e3:,.0f} kB"


def is_disk_full(error: Exception) -> bool:
    """Whether a disk was full, or what the person may write there is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _write_and_delete(file: Path) -> None:
    try:
        file.write_bytes(b"x" * 4096)
    finally:
        file.unlink(missing_ok=True)
