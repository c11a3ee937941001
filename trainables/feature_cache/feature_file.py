"""The features of some images as one Arrow IPC file: a single record batch, so that a mapped file is one
tensor.

Its one column, `features`, is fixed_size_binary: the numbers of one image, as `Layout` has them.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from trainables.datasets.arrow_holes import content_offset, fixed_size_binary, reserve

# N images, B batch, C channels, H height, W width

_COLUMN = "features"


@dataclass(frozen=True)
class Layout:
    """The features of one image, as they are stored."""

    shape: tuple[int, ...]
    """(H, W, C) of maps, which lie so in memory; any other shape as it is."""
    dtype: torch.dtype

    @classmethod
    def of(cls, features: Tensor) -> "Layout":
        """Of features of a batch, as a network gives them."""
        return cls(tuple(_as_stored(features).shape[1:]), features.dtype)

    @property
    def num_bytes(self) -> int:
        """Of one image."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


class FeatureWriter:
    """A file in the making; its features are appended in order."""

    def __init__(self, path: Path, num_images: int, layout: Layout) -> None:
        """Writes all but the features."""
        reserve(
            path,
            num_images * layout.num_bytes,
            lambda hole: pa.record_batch({_COLUMN: fixed_size_binary(hole, num_images)}),
        )
        self._layout = layout
        self._file: BinaryIO = path.open("r+b")
        self._file.seek(content_offset(path, _COLUMN))
        self._num_left = num_images

    def write(self, features: Tensor) -> None:
        """Appends features of one or more images, as a network gives them."""
        assert Layout.of(features) == self._layout, "all images have features of one layout"
        self._num_left -= len(features)
        rows = _as_stored(features).cpu().contiguous()
        self._file.write(rows.reshape(-1).view(torch.uint8).numpy().data)

    def finish(self) -> None:
        """Returns once all of it is on the disk: a file that has got its name is whole, also after a power
        cut.
        """
        assert self._num_left == 0, "the file has features of every image"
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


class Features:
    """The features of N images, mapped, or on a GPU."""

    def __init__(self, rows_N: Tensor, device: torch.device) -> None:
        """`rows_N` are as `Layout` has them; `device` is where they are needed."""
        self._rows_N = rows_N
        self.device = device

    def __len__(self) -> int:
        return len(self._rows_N)

    @property
    def place(self) -> torch.device:
        """Where positions for `at` lie best."""
        return self._rows_N.device

    @property
    def num_bytes(self) -> int:
        """Of all."""
        return self._rows_N.nbytes

    def at(self, positions_B: Tensor) -> Tensor:
        """A copy of the features of these images, on the device, as a network takes them; maps are
        channels_last.
        """
        return _as_computed(self._rows_N[positions_B].to(self.device))


def map_features(
    path: Path, num_images: int, layout: Layout, device: torch.device, *, is_resident: bool = False
) -> Features | None:
    """Maps a file without copying, or puts all of it on the device; None where there is no such file, or
    where it is not whole or holds something else.
    """
    try:
        column = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(_COLUMN)
    except (OSError, pa.ArrowInvalid, KeyError):
        return None
    if len(column) != num_images or column.type != pa.binary(layout.num_bytes):
        return None
    content = np.frombuffer(column.buffers()[1], np.uint8, count=num_images * layout.num_bytes)
    with warnings.catch_warnings():
        # A mapped file is read-only, which a tensor cannot express; `Features.at` gives copies.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        rows_N = torch.from_numpy(content).view(layout.dtype).reshape(num_images, *layout.shape)
    return Features(rows_N.to(device) if is_resident else rows_N, device)


def _as_stored(features: Tensor) -> Tensor:
    """Maps (B, C, H, W) as (B, H, W, C)."""
    return features.permute(0, 2, 3, 1) if features.ndim == 4 else features


def _as_computed(rows: Tensor) -> Tensor:
    return rows.permute(0, 3, 1, 2) if rows.ndim == 4 else rows
