"""The decoded images of a source, on disk, and what is known of each.

N images, H height, W width, C channels. Pixels never stand in memory together: a source may be larger than
it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.pixels import pixel_digest
from trainables.datasets.sources.source import SourceImage

CHUNK_BYTES = 2**23


@dataclass(frozen=True, kw_only=True)
class DecodedImages:
    """Decoded images in the order of the source; every array has one entry per image."""

    spool: Path
    """File with the pixels of all images."""
    offsets: NDArray[np.int64]
    """Where the pixels of each image begin in the spool."""
    shapes: NDArray[np.int64]
    """(N, 3): height, width, channels in the spool."""
    digests: NDArray[np.bytes_]
    """(N,) 16 bytes: equal for images of equal pixels."""
    labels: NDArray[np.int64]
    names: NDArray[np.object_]
    groups: NDArray[np.object_]
    """Group of each image, None where it belongs to none."""
    splits: NDArray[np.str_]
    """`train`, `validation` or `test`; all `train` if the source has no splits."""
    has_splits: bool
    """Whether the source told the splits."""
    num_channels: int = 1
    """Channels every image is given out with: gray images are widened to 3."""

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, selected: NDArray[Any]) -> "DecodedImages":
        """The images of a mask (N,) bool, or of row numbers."""
        fields = ("offsets", "shapes", "digests", "labels", "names", "groups", "splits")
        return replace(self, **{field: getattr(self, field)[selected] for field in fields})

    def image(self, row: int) -> NDArray[np.uint8]:
        """Pixels (H, W, C) of one image."""
        height, width, channels = self.shapes[row]
        start = self.offsets[row]
        pixels = self._mapped[start : start + height * width * channels].reshape(height, width, channels)
        return np.broadcast_to(pixels, (height, width, max(channels, self.num_channels)))

    def chunks(self) -> Iterator[NDArray[np.uint8]]:
        """All images in order, as arrays (n, H, W, C) of some megabytes. All must have one size."""
        rows_per_chunk = max(1, CHUNK_BYTES // prod(self.image_shape))
        for start in range(0, len(self), rows_per_chunk):
            yield np.stack([self.image(row) for row in range(start, min(start + rows_per_chunk, len(self)))])

    def with_one_number_of_channels(self) -> "DecodedImages":
        """The same images with as many channels as the richest of them; digests follow the pixels."""
        num_channels = int(self.shapes[:, 2].max())
        widened = replace(self, num_channels=num_channels, digests=self.digests.copy())
        for row in np.flatnonzero(self.shapes[:, 2] < num_channels).tolist():
            widened.digests[row] = pixel_digest(widened.image(row))
        return widened

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image, once they have one size."""
        return int(self.shapes[0, 0]), int(self.shapes[0, 1]), self.num_channels

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

    @cached_property
    def _mapped(self) -> NDArray[np.uint8]:
        return np.memmap(self.spool, np.uint8, "r")


def group_numbers(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """(N,) numbers that are equal for equal groups; each None has a number of its own."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    keys = np.array([numbers[group] for group in groups], np.int64)
    is_alone = np.array([group is None for group in groups], bool)
    keys[is_alone] = len(numbers) + np.flatnonzero(is_alone)
    return keys


class DecodedImagesWriter:
    """Decoded images in the making: they are appended one by one; leaving its block closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._images: list[SourceImage] = []
        self._offsets: list[int] = []
        self._shapes: list[tuple[int, ...]] = []
        self._digests: list[bytes] = []
        self.sizes: Counter[tuple[int, ...]] = Counter()
        """Images by (height, width)."""

    def __enter__(self) -> "DecodedImagesWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def append(self, image: SourceImage, pixels: NDArray[np.uint8], *, keep_pixels: bool) -> None:
        """Adds an image that has a label; without `keep_pixels` it is counted, but cannot be given out."""
        # What loads the image may hold its bytes: kept, all of the source would stand in memory.
        self._images.append(replace(image, load=None))
        self._offsets.append(self._file.tell())
        self._shapes.append(pixels.shape)
        self._digests.append(pixel_digest(pixels))
        self.sizes[pixels.shape[:2]] += 1
        if keep_pixels:
            self._file.write(np.ascontiguousarray(pixels).data)

    def written(self) -> DecodedImages:
        """What was appended; its pixels can be read once the file is closed."""
        return DecodedImages(
            spool=self._path,
            offsets=np.array(self._offsets, np.int64),
            shapes=np.array(self._shapes, np.int64).reshape(-1, 3),
            digests=np.array(self._digests, "S16"),
            labels=np.array([image.label for image in self._images], np.int64),
            names=np.array([image.name for image in self._images], object),
            groups=np.array([image.group for image in self._images], object),
            splits=np.array([image.split or "train" for image in self._images], "U10"),
            has_splits=any(image.split is not None for image in self._images),
        )
