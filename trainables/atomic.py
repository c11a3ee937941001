"""Files and folders that appear whole or not at all, whatever ends the process that writes them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, which takes its place once the block ends without an error; its
    folder is made.

    After an error inside, `file` is as it was. Of several processes that write at once, also of several
    machines that share the folder, the last one's file stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}-{token_hex(4)}")
    try:
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to fill, which gets its name once the block ends without an error.

    Raises OSError where there is a folder of that name that is not empty.
    """
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process of the same number that died here
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
