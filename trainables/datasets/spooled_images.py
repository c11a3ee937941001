"""The images of a source on disk, decoded or as they were encoded, and what is known of each.

N images, H height, W width, C channels. They lie in parts, files of some hundred images in the order of the
source, and never stand in memory together: a source may be larger than it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.forms import Form
from trainables.datasets.parts import Part, images_file
from trainables.datasets.pixels import decoded_pixels, pixel_digest


@dataclass(frozen=True, kw_only=True)
class SpooledImages:
    """Images in the order of the source; every array has one entry per image."""

    folder: Path
    """With the files of the parts."""
    form: Form
    """What these files hold of each image: its pixels, or the bytes that it was encoded in."""
    parts: NDArray[np.int64]
    """The part in which each image lies."""
    offsets: NDArray[np.int64]
    """Where each image begins in its part."""
    lengths: NDArray[np.int64]
    """Bytes of each image."""
    shapes: NDArray[np.int64]
    """(N, 3): height, width, channels of the image, decoded."""
    digests: NDArray[np.bytes_]
    """(N,) 16 bytes: equal for images of equal pixels."""
    moments: NDArray[np.float64]
    """(N, 2): the mean of the image's pixels in [0, 1] and of their squares, by channel (N, 2, C); channels
    beyond those of a gray image repeat it."""
    labels: NDArray[np.int64]
    names: NDArray[np.object_]
    groups: NDArray[np.object_]
    """Group of each image, None where it belongs to none."""
    kept: NDArray[np.object_]
    """(N, M): the value of each kept column, None where the image has none."""
    splits: NDArray[np.str_]
    """`train`, `validation` or `test`; all `train` if the source has no splits."""
    is_unassigned: NDArray[np.bool_]
    """(N,): whether the source told no split of the image."""
    has_splits: bool
    """Whether the source told the splits."""
    kept_columns: tuple[str, ...] = ()
    """Names of the M columns."""
    num_channels: int = 1
    """Channels every image is given out with: gray images are widened to 3."""

    @classmethod
    def of(
        cls, folder: Path, form: Form, parts: Sequence[Part], kept_columns: tuple[str, ...] = ()
    ) -> "SpooledImages":
        """Those that were read, part after part."""
        rows = [(part, row) for part in parts for row in part.rows]
        return cls(
            folder=folder,
            form=form,
            parts=np.array([part.number for part, _ in rows], np.int64),
            offsets=np.array([offset for part in parts for offset in part.offsets], np.int64),
            lengths=np.array([row.num_bytes for _, row in rows], np.int64),
            shapes=np.array([row.shape for _, row in rows], np.int64).reshape(-1, 3),
            digests=np.array([bytes.fromhex(row.digest) for _, row in rows], "S16"),
            moments=np.array([row.moments for _, row in rows], np.float64).reshape(-1, 2, 3),
            labels=np.array([row.label for _, row in rows], np.int64),
            names=np.array([row.name for _, row in rows], object),
            groups=np.array([row.group for _, row in rows], object),
            kept=np.array([row.kept for _, row in rows], object).reshape(len(rows), len(kept_columns)),
            kept_columns=kept_columns,
            splits=np.array([row.split or "train" for _, row in rows], "U10"),
            is_unassigned=np.array([row.split is None for _, row in rows], bool),
            has_splits=any(row.split is not None for _, row in rows),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, selected: NDArray[Any]) -> "SpooledImages":
        """The images of a mask (N,) bool, or of row numbers."""
        fields = (
            "parts",
            "offsets",
            "lengths",
            "shapes",
            "digests",
            "moments",
            "labels",
            "names",
            "groups",
            "kept",
        )
        of_splits = ("splits", "is_unassigned")
        return replace(self, **{field: getattr(self, field)[selected] for field in (*fields, *of_splits)})

    def image(self, row: int) -> NDArray[np.uint8]:
        """Pixels (H, W, C) of one image."""
        height, width, channels = self.shapes[row]
        start, part = self.offsets[row], images_file(self.folder, int(self.parts[row]))
        content = np.memmap(part, np.uint8, "r")[start : start + self.lengths[row]]
        if self.form == "encoded":
            return decoded_pixels(content.tobytes(), max(channels, self.num_channels))
        return np.broadcast_to(
            content.reshape(height, width, channels), (height, width, max(channels, self.num_channels))
        )

    def with_one_number_of_channels(self) -> "SpooledImages":
        """The same images with as many channels as the richest of them; digests follow the pixels."""
        num_channels = int(self.shapes[:, 2].max())
        widened = replace(self, num_channels=num_channels, digests=self.digests.copy())
        for row in np.flatnonzero(self.shapes[:, 2] < num_channels).tolist():
            widened.digests[row] = pixel_digest(widened.image(row))
        return widened

    @property
    def typical_shape(self) -> tuple[int, int, int]:
        """Height and width of every image where they have one size, else their medians; and channels."""
        height, width = np.median(self.shapes[:, :2], axis=0).round().astype(int).tolist()
        return height, width, self.num_channels

    def extreme_size(self, extreme: Callable[..., Any]) -> tuple[int, int]:
        """The least (np.min) or greatest (np.max) height, and the least or greatest width."""
        height, width = extreme(self.shapes[:, :2], axis=0).tolist()
        return height, width

    @property
    def given_splits(self) -> frozenset[str]:
        """The splits that the source told and that hold an image."""
        return frozenset(self.splits.tolist()) if self.has_splits else frozenset()

    @property
    def has_groups(self) -> bool:
        """Whether any image belongs to a group."""
        return any(group is not None for group in self.groups.tolist())

    @cached_property
    def group_keys(self) -> NDArray[np.int64]:
        """(N,) numbers that are equal for images of an equal group; an image of no group has a number of its
        own.
        """
        return group_numbers(self.groups.tolist())

    @cached_property
    def pixel_keys(self) -> NDArray[np.int64]:
        """(N,) numbers that are equal for images of equal pixels."""
        return np.unique(self.digests, return_inverse=True)[1]


def group_numbers(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """(N,) numbers that are equal for equal groups; each None has a number of its own."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    keys = np.array([numbers[group] for group in groups], np.int64)
    is_alone = np.array([group is None for group in groups], bool)
    keys[is_alone] = len(numbers) + np.flatnonzero(is_alone)
    return keys
