"""What a machine keeps for its trials: copies of published datasets, fetched once, without the test split,
and features (`trainables.feature_cache`); the least recently used go where all take more than the machine
gives.

Each copy has a folder of its own, named by a digest of its content. A process that uses a copy holds a shared
lock on the file `used` in it, its lease; who removes the copy holds that lock alone. So no copy goes that a
process has mapped, and the lock of a process that is killed ends with it.
"""

import fcntl
import math
import os
import shutil
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from trainables.atomic import atomic_folder
from trainables.datasets.published import fetch_splits
from trainables.errors import DatasetError

CACHE_VARIABLE = "STUDY_CACHE"
SIZE_VARIABLE = "STUDY_CACHE_GB"
DEFAULT_SHARE = 0.5
"""Of the volume that holds the copies, where nobody says how much they may take."""
_OF_A_TRIAL = ("train", "validation")
_USED_FILE = "used"
LOCK_FILE = "lock"
FEATURES_PREFIX = "features-"
"""Begins the names of folders that hold features in place of a dataset."""
_held: dict[Path, "Lease"] = {}
"""Of the datasets that this process uses; it keeps them until it ends."""


@dataclass(frozen=True, kw_only=True)
class CachedCopy:
    """A dataset or features that this machine keeps."""

    folder: Path
    """Named by a digest."""
    num_bytes: int
    last_used: float
    """Seconds since 1970: when a process last began to use it, or was found using it."""

    @property
    def name(self) -> str:
        """What it is, and the beginning of its digest."""
        names = sorted(one.name for one in self.folder.glob("[!.]*") if one.is_dir())
        kind = "features" if self.folder.name.startswith(FEATURES_PREFIX) else "dataset"
        digest = self.folder.name.removeprefix(FEATURES_PREFIX)[:12]
        return f"{kind} {names[0]} ({digest})" if names else f"{kind} ({digest})"


class Lease:
    """Keeps a copy on this machine until it is closed, garbage, or this process ends."""

    def __init__(self, place: Path) -> None:
        """Makes the copy's folder; waits while somebody removes the copy."""
        place.mkdir(parents=True, exist_ok=True)
        self._opened = os.open(place / _USED_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        self.close = weakref.finalize(self, os.close, self._opened)
        with suppress(OSError):  # a file system without locks; then nobody removes the copy
            fcntl.flock(self._opened, fcntl.LOCK_SH)
        self.renew()

    def renew(self) -> None:
        """The copy is used now."""
        os.utime(self._opened)


def cached_dataset(address: str, digest: str) -> Path:
    """The folder on this machine that holds what a trial may see of the dataset at `address`.

    It stays until this process ends. Processes that ask at the same time wait for the first one. Raises
    DatasetError if it cannot be had or does not verify, or if `STUDY_CACHE_GB` is no number.
    """
    most_bytes = max_bytes()
    place = cache_folder() / digest
    if place in _held:
        _held[place].renew()
    else:
        _held[place] = Lease(place)
    folder = place / address.rsplit("/", 1)[1]
    if folder.exists():
        return folder
    with _lock(place / LOCK_FILE):
        if not folder.exists():
            with atomic_folder(folder) as unfinished:
                fetch_splits(address, unfinished, digest, _OF_A_TRIAL)
    make_room(most_bytes)
    return folder


def cache_folder() -> Path:
    """`STUDY_CACHE`, or a folder of this machine's user."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "study").absolute()


def max_bytes() -> int:
    """`STUDY_CACHE_GB`, or half of the volume that holds the copies. Raises DatasetError for no number."""
    told = os.environ.get(SIZE_VARIABLE)
    if not told:
        place = cache_folder()
        while not place.exists():
            place = place.parent
        return int(DEFAULT_SHARE * shutil.disk_usage(place).total)
    with suppress(ValueError):
        if 0 < float(told) < math.inf:
            return int(float(told) * 1e9)
    raise DatasetError(
        f"{SIZE_VARIABLE} is how much the copies of datasets, and features, on a machine may take, in GB: a "
        f"number above 0, such as 200; got {told!r}"
    )


def cached_copies() -> tuple[CachedCopy, ...]:
    """The copies on this machine, the least recently used first."""
    places = {file.parent for name in (_USED_FILE, LOCK_FILE) for file in cache_folder().glob(f"*/{name}")}
    found = [
        CachedCopy(folder=place, num_bytes=size, last_used=_last_used(place))
        for place in sorted(places)
        if (size := _num_bytes(place))
    ]
    return tuple(sorted(found, key=lambda one: one.last_used))


def make_room(most_bytes: int) -> int:
    """Removes the least recently used copies until all take `most_bytes` at most; returns the bytes freed.

    Those in use stay, also where they take more.
    """
    copies = cached_copies()
    total, num_freed = sum(one.num_bytes for one in copies), 0
    for one in copies:
        if total - num_freed <= most_bytes:
            break
        if evict(one):
            num_freed += one.num_bytes
    return num_freed


def evict(copy: CachedCopy) -> bool:
    """Removes a copy; False where a process uses it, or where the file system has no locks to tell."""
    opened = os.open(copy.folder / _USED_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for folder in [one for one in copy.folder.iterdir() if one.is_dir()]:
            doomed = copy.folder / f".evicted-{token_hex(4)}"
            folder.rename(doomed)  # gone in one step, whoever dies within
            shutil.rmtree(doomed, ignore_errors=True)
    except BlockingIOError:
        os.utime(opened)
        return False
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(opened)


def _last_used(place: Path) -> float:
    try:
        return (place / _USED_FILE).stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _num_bytes(place: Path) -> int:
    """Of the folders in it, without those that somebody removes meanwhile."""
    total = 0
    for folder, _, files in os.walk(place):
        for name in files if Path(folder) != place else ():
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Held by one process of the machine at a time; the system lets go of it when a process dies."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
