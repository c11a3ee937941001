"""Images as the files that they came in, at their own sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.pixels import Crop, cropped_pixels, decoded_pixels, fitted_pixels

# N images, S side of a square


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """N encoded images, one after another in one array of bytes, which may be a mapped file."""

    content: NDArray[np.uint8]
    starts: NDArray[np.int64]
    """(N,) where each image begins in `content`."""
    lengths: NDArray[np.int64]
    """(N,) bytes of each image."""
    channels: int
    """1 gray or 3 RGB: what every image is decoded to."""

    @classmethod
    def of(cls, images: Sequence[bytes], channels: int) -> "EncodedImages":
        """Those images, in memory."""
        lengths = np.array([len(image) for image in images], np.int64)
        content = np.frombuffer(b"".join(images), np.uint8)
        return cls(content, np.cumsum(lengths) - lengths, lengths, channels)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, chosen: int) -> bytes: ...
    @overload
    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> "EncodedImages": ...
    def __getitem__(self, chosen: int | slice | NDArray[np.int64]) -> "bytes | EncodedImages":
        """The bytes of one image; or some images, which share the bytes with these."""
        if isinstance(chosen, slice | np.ndarray):
            return EncodedImages(self.content, self.starts[chosen], self.lengths[chosen], self.channels)
        start = self.starts[chosen]
        return self.content[start : start + self.lengths[chosen]].tobytes()

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Pixels (H, W, C) of one image at its own size."""
        return decoded_pixels(self[row], self.channels)

    def fitted(self, row: int, side: int) -> NDArray[np.uint8]:
        """Pixels (S, S, C) of one image: its shorter side is scaled to S, and the middle is cut out."""
        return fitted_pixels(self[row], self.channels, side)

    def cropped(self, row: int, side: int, crop: Crop) -> NDArray[np.uint8]:
        """Pixels (S, S, C) of a rectangle of one image."""
        return cropped_pixels(self[row], self.channels, side, crop)
