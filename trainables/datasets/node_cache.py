"""A machine's own copy of a published dataset: fetched once, by the first of its trials, without the test
split.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.atomic import atomic_folder
from trainables.datasets.published import fetch_splits

CACHE_VARIABLE = "STUDY_CACHE"
_OF_A_TRIAL = ("train", "validation")


def cached_dataset(address: str, digest: str) -> Path:
    """The folder on this machine that holds what a trial may see of the dataset at `address`.

    Processes that ask at the same time wait for the first one. Raises DatasetError if it cannot be had or
    does not verify.
    """
    place = cache_folder() / digest
    place.mkdir(parents=True, exist_ok=True)
    folder = place / address.rsplit("/", 1)[1]
    if folder.exists():
        return folder
    with _lock(place / "lock"):
        if not folder.exists():
            with atomic_folder(folder) as unfinished:
                fetch_splits(address, unfinished, digest, _OF_A_TRIAL)
    return folder


def cache_folder() -> Path:
    """`STUDY_CACHE`, or a folder of this machine's user."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "study").absolute()


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Held by one process of the machine at a time; the system lets go of it when a process dies."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
