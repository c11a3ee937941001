"""A dataset's folder appears whole or not at all."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from trainables.datasets.options import AddOptions
from trainables.datasets.parts import num_parts_done
from trainables.datasets.sealed_test import OPENINGS_FILE
from trainables.errors import CutOffError, DatasetError

SECONDS_TO_REPLACE = 60.0
"""Longer than any process stands between the two renamings of a replacement."""
NEW = ".new"
"""Ends the name of a folder that its process has not locked yet."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


PARTS_FOLDER = "parts"
"""In a staged folder: what is done of the work on a large source."""


@contextmanager
def staged_folder(home: Path, name: str, *, replace: bool, work: str | None = None) -> Iterator[Path]:
    """A temporary folder that becomes `home/name` if the block succeeds, and is removed if it fails.

    With `replace` an existing dataset stays in place until the new one is whole; the record of openings of
    its test split is kept. Where `work` names what is done inside, what a killed process left of the same
    work is in the folder, and what Ctrl-C or a CutOffError cuts off stays, if several parts are done. Raises
    DatasetError before the block if the name cannot be used.
    """
    check_can_be_added(home, name, replace=replace)
    target = home / name
    home.mkdir(parents=True, exist_ok=True)
    _clear_for(home, name, work)
    with _folder_for(home, name, work) as folder:
        try:
            yield folder
            _check_free(target, replace)
            _publish(folder, target)
        except BaseException as error:
            is_cut_off = isinstance(error, CutOffError) or not isinstance(error, Exception)
            if not (is_cut_off and work is not None and is_begun(folder)):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def check_can_be_added(home: Path, name: str, *, replace: bool) -> None:
    """Raises DatasetError if `home` has a dataset of that name that is not to be replaced, or if no dataset
    can have the name.
    """
    _check_name(name)
    _check_free(home / name, replace)


def work_key(name: str, source: Path | None, options: AddOptions, *, with_digest: str = "") -> str:
    """Eight hexadecimal digits that change with what is added and how: with any file of the source, and with
    the dataset that it is added to, too.
    """
    files = [] if source is None else [str(source.absolute()), *map(_state, _files_of(source))]
    work = json.dumps([name, files, options.to_dict(), with_digest], sort_keys=True, default=str)
    return hashlib.sha256(work.encode()).hexdigest()[:8]


def is_begun(folder: Path) -> bool:
    """Whether more is done in a staged folder than what is done again in seconds."""
    return num_parts_done(folder / PARTS_FOLDER) > 1


def has_begun(home: Path, name: str) -> bool:
    """Whether what was cut off of adding a dataset waits for the same command."""
    return any(is_begun(folder) for folder in home.glob(f".{name}.adding-????????"))


def remove_folder(folder: Path) -> None:
    """Removes a dataset in one step, whoever dies within; the record of openings of its test split waits for
    a dataset of its name.
    """
    if (folder / OPENINGS_FILE).exists():
        shutil.copy2(folder / OPENINGS_FILE, _openings_of_removed(folder))
    doomed = folder.with_name(f".{folder.name}.removed-{token_hex(4)}")
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def left_behind(home: Path) -> tuple[Path, ...]:
    """Folders of datasets that a killed process was adding, removing, or about to replace."""
    adding = [folder for folder in home.glob(".*.adding-????????*") if _is_abandoned(folder)]
    removed = home.glob(".*.removed-????????")
    return (*adding, *removed, *(folder for folder in home.glob(".*.replaced-????????") if _is_old(folder)))


def clear_left_behind(home: Path) -> None:
    """Removes what killed processes were adding, and puts a dataset back that one was about to replace."""
    _clear(left_behind(home))


def _clear_for(home: Path, name: str, work: str | None) -> None:
    """Clears, but for begun work on other datasets, and on this one if it is the same work."""
    _clear(
        [
            folder
            for folder in left_behind(home)
            if not is_begun(folder)
            or (folder.name.startswith(f".{name}.adding-") and folder != _place(home, name, work))
        ],
    )


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        clear_one(folder)


def clear_one(folder: Path) -> None:
    """Removes one of the folders that `left_behind` finds, or puts its dataset back."""
    name, was_replaced, _ = folder.name.removeprefix(".").rpartition(".replaced-")
    if was_replaced and not folder.with_name(name).exists():
        folder.rename(folder.with_name(name))
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _place(home: Path, name: str, work: str | None) -> Path:
    return home / f".{name}.adding-{work or token_hex(4)}"


@contextmanager
def _folder_for(home: Path, name: str, work: str | None) -> Iterator[Path]:
    """The folder that a killed process left of the same work, or a new one; locked until the block ends, and
    the lock of a process that is killed ends with it.
    """
    folder = _place(home, name, work)
    number = _locked(folder)
    if number is None:
        # Another process may be at the same work at this moment.
        folder = _place(home, name, None if folder.exists() else work)
        unlocked = folder.with_name(folder.name + NEW)
        unlocked.mkdir()
        number = os.open(unlocked, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks; then nobody clears the folder
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(folder)
    try:
        yield folder
    finally:
        os.close(number)


def _locked(folder: Path) -> int | None:
    """The descriptor of a folder that exists and that nobody else has locked; it holds the lock."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(number), folder.stat()):
            return number
    except OSError:  # locked by another, or published by it meanwhile
        pass
    os.close(number)
    return None


def _files_of(source: Path) -> list[Path]:
    with suppress(OSError):  # a name that is too long for a file; reading tells it
        if not source.is_dir():
            return [source]
    return sorted(Path(parent) / name for parent, _, names in os.walk(source) for name in names)


def _state(file: Path) -> str:
    """Changes with the file's content, as far as its size and time tell."""
    try:
        state = file.stat()
    except OSError:
        return f"{file} is gone"
    return f"{file} {state.st_size} {state.st_mtime_ns}"


def _is_old(folder: Path) -> bool:
    return time.time() - folder.stat().st_ctime >= SECONDS_TO_REPLACE


def _openings_of_removed(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{OPENINGS_FILE}")


def _is_abandoned(folder: Path) -> bool:
    if folder.name.endswith(NEW) and not _is_old(folder):
        return False  # its process locks it in this moment
    number = _locked(folder)
    if number is None:
        return False
    os.close(number)
    return True


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
    # Adding a dataset again must not make its test split look unopened.
    for known in (_openings_of_removed(target), target / OPENINGS_FILE):
        if known.exists():
            shutil.copy2(known, folder / OPENINGS_FILE)
    if not target.exists():
        folder.rename(target)
        _openings_of_removed(target).unlink(missing_ok=True)
        return
    old = target.with_name(f".{target.name}.replaced-{token_hex(4)}")
    target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        old.rename(target)
        raise
    # The new dataset is in place; network file systems keep files that some trial still maps.
    shutil.rmtree(old, ignore_errors=True)
