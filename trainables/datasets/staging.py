"""A dataset's folder appears whole or not at all."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from trainables.datasets.sealed_test import OPENINGS_FILE
from trainables.errors import DatasetError

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
    folder = home / f".{name}.adding-{token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
        _check_free(target, replace)
        _publish(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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
