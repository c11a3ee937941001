"""The images of a split as bytes of a file, read without mapping it: what is read counts as nobody's memory
but the system's, which keeps as much of the file as it has room for.
"""

import os
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray


class ImageFile:
    """Bytes of a file from an offset on; for any number of threads at once."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._offset = offset
        self._number: int | None = None

    def read_into(self, array: NDArray[np.uint8], start: int) -> None:
        """Fills a contiguous array with the bytes from `start` on. Raises OSError where the file ends before
        that.
        """
        view = array.data.cast("B")
        while len(view):
            num_read = os.preadv(self._opened(), [view], self._offset + start)
            self._require(num_read)
            view, start = view[num_read:], start + num_read

    def read(self, start: int, num_bytes: int) -> bytes:
        """So many bytes from `start` on. Raises OSError where the file ends before that."""
        content = os.pread(self._opened(), num_bytes, self._offset + start)
        self._require(len(content) == num_bytes)
        return content

    def _opened(self) -> int:
        if self._number is None:
            number = os.open(self._path, os.O_RDONLY)
            finalize(self, os.close, number)
            self._number = number
        return self._number

    def _require(self, condition: object) -> None:
        if not condition:
            raise OSError(f"{self._path} ends before its last image; add the dataset again with --replace")
