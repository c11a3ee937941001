"""Files and folders that are there whole or not at all, whenever a process dies."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path for a new file or folder; it replaces `target` when the block ends without an error.

    The path lies beside `target`, whose folder is made if it is missing; readers see the old content or the
    new one. A folder replaces only an empty or a missing one. After an error nothing is left of the new
    content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    _remove(unfinished)  # of a process that died and had the same number
    try:
        yield unfinished
        unfinished.replace(target)
    except BaseException:
        _remove(unfinished)
        raise


def write_whole(target: Path, text: str) -> None:
    """Writes a file of text in UTF-8, whole or not at all."""
    with replacing(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
