"""A dataset's folder appears whole or not at all."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from trainables.datasets.sealed_test import OPENINGS_FILE
from trainables.errors import DatasetError

SECONDS_TO_REPLACE = 60.0
"""Longer than any process stands between the two renamings of a replacement."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@contextmanager
def staged_folder(home: Path, name: str, *, replace: bool) -> Iterator[Path]:
    """A temporary folder that becomes `home/name` if the block succeeds, and is removed if it fails.

    With `replace` an existing dataset stays in place until the new one is whole; the record of openings of
    its test split is kept. Raises DatasetError before the block if the name cannot be used.
    """
    _check_name(name)
    target = home / name
    _check_free(target, replace)
    home.mkdir(parents=True, exist_ok=True)
    _clear_left_behind(home)
    with _held_folder(home / f".{name}.adding-{token_hex(4)}") as folder:
        try:
            yield folder
            _check_free(target, replace)
            _publish(folder, target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _held_folder(folder: Path) -> Iterator[Path]:
    """A new folder, locked until the block ends; the lock of a process that is killed ends with it."""
    unlocked = folder.with_name(f"{folder.name}.new")
    unlocked.mkdir()
    number = os.open(unlocked, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks; then nobody clears the folder
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield unlocked.rename(folder)
    finally:
        os.close(number)


def _clear_left_behind(home: Path) -> None:
    """Removes what killed processes were adding, and puts a dataset back that one was about to replace."""
    for folder in home.glob(".*.adding-????????"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in home.glob(".*.replaced-????????"):
        if time.time() - folder.stat().st_ctime < SECONDS_TO_REPLACE:
            continue
        target = folder.with_name(folder.name.rpartition(".replaced-")[0].removeprefix("."))
        if target.exists():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.rename(target)


def _is_abandoned(folder: Path) -> bool:
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(number)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise DatasetError(
            "a dataset's name has at most 64 letters, digits, '-', '_' and '.', and begins with a letter or "
            f"digit; got {name!r}"
        )


def _check_free(target: Path, replace: bool) -> None:
    if target.exists() and not replace:
        raise DatasetError(
            f"there is a dataset {target.name!r} already; choose another name, or replace it with --replace"
        )


def _publish(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
        return
    if (target / OPENINGS_FILE).exists():
        # Adding a dataset again must not make its test split look unopened.
        shutil.copy2(target / OPENINGS_FILE, folder)
    old = target.with_name(f".{target.name}.replaced-{token_hex(4)}")
    target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        old.rename(target)
        raise
    # The new dataset is in place; network file systems keep files that some trial still maps.
    shutil.rmtree(old, ignore_errors=True)
