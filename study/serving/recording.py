"""A sample of what a server is asked: pictures with what the model said of them, in a folder.

Every picture has the same chance to be in the sample, whenever it came. Each draws a random key, and those
with the smallest keys stay, as many as the folder may hold. The first picture that had to leave sets the
highest key that may still come in.
"""

import logging
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.serving.recorded_sample import (
    Recorded,
    ending_of,
    open_folder,
    read_sample,
    remove_pictures,
    write_sample,
)

if TYPE_CHECKING:
    from study.serving.batching import Answer

MOST_IMAGES = 2_000
MOST_BYTES = 2**28
MOST_WAITING_BYTES = 2**26
"""Of pictures that wait to be written; more are left out, so that a slow disk slows no request."""
SECONDS_BETWEEN_WRITES = 1.0

_log = logging.getLogger(__name__)


class Recording:
    """Keeps a bounded, fair sample of pictures in a folder; for several threads at once.

    A thread of its own writes, once a second at most. After a crash the last second may be missing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_images: int = MOST_IMAGES,
        most_bytes: int = MOST_BYTES,
        seed: int | None = None,
    ) -> None:
        """Goes on with the sample that lies in `folder`, which is made. `seed` is for tests.

        Raises SpecError where the folder holds something else, cannot be written to, or another server
        records there.
        """
        self._folder = folder
        self._most_images, self._most_bytes = most_images, most_bytes
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._waiting: list[_Noted] = []
        self._waiting_bytes = 0
        self._is_stopping = threading.Event()
        self._has_failed = False
        self._held = open_folder(folder)
        try:
            self._state, self._sample = read_sample(folder)
        except BaseException:
            self._held.close()
            raise
        self._thread = threading.Thread(target=self._write_on, name="recording", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def note(
        self, image: bytes | NDArray[np.uint8], probabilities: Mapping[str, float], version: str
    ) -> None:
        """Takes a picture into the sample, or does not; returns at once, whatever the disk does.

        It is a file, or pixels (H, W) or (H, W, C), which become a PNG.
        """
        num_bytes = image.nbytes if isinstance(image, np.ndarray) else len(image)
        with self._lock:
            if not self.is_on:
                return
            self._state.num_pictures += 1
            key = self._random.getrandbits(63)
            is_wanted = key < self._state.limit and num_bytes <= self._most_bytes
            if not is_wanted or self._waiting_bytes + num_bytes > MOST_WAITING_BYTES:
                return
            self._waiting.append(_Noted(key=key, image=image, probabilities=probabilities, version=version))
            self._waiting_bytes += num_bytes

    def note_answer(self, answer: "Answer") -> None:
        """Takes all pictures of a request, as `note` does."""
        classes, version = answer.loaded.config.classes, answer.loaded.version.name
        for image, row in zip(answer.images, answer.probabilities_NK.tolist(), strict=True):
            self.note(image, dict(zip(classes, row, strict=True)), version)

    @property
    def is_on(self) -> bool:
        """Whether pictures are taken: not after `close`, nor once the disk has refused one."""
        return not (self._has_failed or self._is_stopping.is_set())

    def close(self) -> None:
        """Writes what waits, and lets go of the folder."""
        self._is_stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._held.close()

    def _write_on(self) -> None:
        try:
            while not self._is_stopping.wait(SECONDS_BETWEEN_WRITES):
                self._write()
            self._write()
        except OSError as error:
            self._has_failed = True  # a full disk ends the recording, and no request
            _log.error("recording ends: %s cannot be written to: %s", self._folder, error.strerror or error)

    def _write(self) -> None:
        with self._lock:
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting:
            pictures = {noted.key: noted.file_bytes() for noted in waiting}
            new = [noted.recorded(pictures[noted.key]) for noted in waiting]
            kept, left = self._fitting([*self._sample, *new])
            write_sample(self._folder, kept, pictures)
            remove_pictures(self._folder, left)
            self._sample = kept
        with self._lock:
            state = replace(self._state)
        if waiting or self._is_stopping.is_set():
            state.write(self._folder)

    def _fitting(self, sample: list[Recorded]) -> tuple[tuple[Recorded, ...], list[Recorded]]:
        """Those of the smallest keys that the bounds allow, by time, and the others."""
        by_key = sorted(sample, key=lambda one: one.key)
        num_bytes, num_kept = 0, 0
        for one in by_key[: self._most_images]:
            num_bytes += one.num_bytes
            if num_bytes > self._most_bytes:
                break
            num_kept += 1
        kept, left = by_key[:num_kept], by_key[num_kept:]
        if left:
            with self._lock:
                self._state.limit = min(self._state.limit, left[0].key)
        return tuple(sorted(kept, key=lambda one: one.time)), left


@dataclass(frozen=True, kw_only=True, eq=False)
class _Noted:
    """A picture that waits to be written."""

    key: int
    image: bytes | NDArray[np.uint8]
    probabilities: Mapping[str, float]
    version: str
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def file_bytes(self) -> bytes:
        if isinstance(self.image, bytes):
            return self.image
        content = BytesIO()
        Image.fromarray(self.image.squeeze(2) if self.image.shape[2:] == (1,) else self.image).save(
            content, "PNG"
        )
        return content.getvalue()

    def recorded(self, content: bytes) -> Recorded:
        label = max(self.probabilities, key=lambda name: self.probabilities[name])
        return Recorded(
            key=self.key,
            label=label,
            confidence=self.probabilities[label],
            version=self.version,
            time=self.time,
            num_bytes=len(content),
            ending=ending_of(content),
        )
