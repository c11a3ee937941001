"""Folders of studies whose driver died before the study file, the last that is written, was there."""

import re
import shutil
from pathlib import Path

from study.planning.earlier_starts import STARTS_FILE
from study.search.record.driver_lock import LOCK_FILE
from study.search.record.storage import DATABASE_FILE, JOURNAL_FILE, SPEC_FILE, delete_from_database

UNFINISHED = re.compile(r"\..+\.\d+(-\w+)?|\.write-test-[0-9a-f]+|.+\.unfinished|.+\.journal\.lock")
"""Names of what takes its place once it is whole, and of a lock of a journal."""
_OF_A_BIRTH = (JOURNAL_FILE, DATABASE_FILE, STARTS_FILE, LOCK_FILE)


def is_half_begun(folder: Path) -> bool:
    """Whether a folder holds nothing but what a study begins with, without the study file."""
    return not (folder / SPEC_FILE).exists() and foreign_file(folder) is None


def foreign_file(folder: Path) -> str | None:
    """The name of something in a folder that no study begins with; None where there is nothing else."""
    names = sorted(one.name for one in folder.iterdir())
    return next((name for name in names if name not in _OF_A_BIRTH and not UNFINISHED.fullmatch(name)), None)


def clear_half_begun(folder: Path) -> None:
    """Empties the folder of a study that was half begun, but for the lock, which the caller holds."""
    if not folder.exists():
        return
    delete_from_database(folder)
    for one in folder.iterdir():
        if one.name == LOCK_FILE:
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
