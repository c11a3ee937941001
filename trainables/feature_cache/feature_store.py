"""Features of one prefix and one set of images on this machine: a folder beside the machine's copies of
datasets, in which each view of the images is a file.

Who makes a file holds the folder's lock, writes beside it and renames: others wait, and a file that a killed
process left half-written is never read. The folder's lease keeps it from being removed while it is used.
"""

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.atomic import atomic_file
from trainables.datasets.node_cache import (
    FEATURES_PREFIX,
    LOCK_FILE,
    Lease,
    cache_folder,
    cached_copies,
    make_room,
    max_bytes,
)
from trainables.feature_cache.feature_file import Features, FeatureWriter, Layout, map_features

POLL_SECONDS = 0.02
"""How often a process looks whether another has finished the file that both want."""
SPARE_BYTES = 2**28
"""Of the volume, which features leave free."""


class NoRoomError(OSError):
    """Features that this machine has no room for."""


@dataclass(kw_only=True, eq=False)
class FeatureStore:
    """The features of `num_images` images by one prefix, in one or more views."""

    key: Mapping[str, Any]
    """All that the features depend on but the view, as plain JSON values."""
    name: str
    """What people read of them: the architecture and the cut."""
    num_images: int
    layout: Layout
    device: torch.device
    is_resident: bool = False
    """Whether features are put on the device whole."""
    seconds: float = 0.0
    """That this process spent on making features."""
    num_made: int = 0
    """Views that this process made."""
    _views: dict[int, Features] = field(default_factory=dict)
    _lease: Lease | None = None

    @property
    def folder(self) -> Path:
        """Where they lie on this machine."""
        digest = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()
        return cache_folder() / f"{FEATURES_PREFIX}{digest[:40]}"

    @property
    def num_bytes(self) -> int:
        """Of one view."""
        return self.num_images * self.layout.num_bytes

    def view(self, number: int) -> Features | None:
        """The features of a view; None where they have not been made."""
        if number not in self._views:
            found = map_features(
                self._file(number), self.num_images, self.layout, self.device, is_resident=self.is_resident
            )
            if found is None:
                return None
            self._views[number] = found
        return self._views[number]

    def making(self, number: int, compute: Callable[[], Iterable[Tensor]]) -> Iterator[None]:
        """Makes the file of a view, unless it is there, and hands the control back again and again.

        `compute` gives the features of all images in order, batch by batch. Where another process is making
        it, waits for that one. Raises OSError where it cannot be written, NoRoomError where it would take
        too much.
        """
        self._lease = self._lease or Lease(self.folder)
        self._lease.renew()
        if self.view(number) is not None:
            return
        with (self.folder / LOCK_FILE).open("w") as lock:
            while not _is_mine(lock.fileno()):
                yield
            if self.view(number) is None:
                yield from self._written(number, compute)
        assert self.view(number) is not None, "the file is whole"

    def close(self) -> None:
        """The features may be removed from here on."""
        self._views.clear()
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _written(self, number: int, compute: Callable[[], Iterable[Tensor]]) -> Iterator[None]:
        file = self._file(number)
        for leftover in file.parent.glob(".*"):  # of processes that died; nobody else writes here now
            leftover.unlink(missing_ok=True)
        self._make_room()
        begun = time.perf_counter()
        with atomic_file(file) as unfinished, _writer(unfinished, self.num_images, self.layout) as writer:
            for features in compute():
                writer.write(features)
                self.seconds += time.perf_counter() - begun
                yield
                begun = time.perf_counter()
            writer.finish()
        self.seconds += time.perf_counter() - begun
        self.num_made += 1

    def _file(self, number: int) -> Path:
        return self.folder / self.name / f"{number}.arrow"

    def _make_room(self) -> None:
        most, wanted = max_bytes(), self.num_bytes
        if wanted <= most:
            make_room(most - wanted)
            taken = sum(copy.num_bytes for copy in cached_copies())
        if wanted > most or taken + wanted > most:
            raise NoRoomError(
                f"they take {wanted / 1e9:.1f} GB, and STUDY_CACHE_GB leaves no room for that on this machine"
            )
        free = shutil.disk_usage(self.folder).free
        if free < wanted + SPARE_BYTES:
            raise NoRoomError(
                f"they take {wanted / 1e9:.1f} GB, and {cache_folder()} has {free / 1e9:.1f} GB left"
            )


@contextmanager
def _writer(path: Path, num_images: int, layout: Layout) -> Iterator[FeatureWriter]:
    writer = FeatureWriter(path, num_images, layout)
    try:
        yield writer
    finally:
        writer.close()


def _is_mine(lock: int) -> bool:
    """Takes a lock; where another process has it, waits a moment. Its end, however it comes, releases it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(POLL_SECONDS)
        return False
    return True
