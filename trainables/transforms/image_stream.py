"""Images that do not fit where a training runs: they stay on the disk, and are read, decoded and brought to
the device in the background, some batches ahead of their use.

What comes out is, bit for bit, what lies on the device where images fit.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.pixels import Crop
from trainables.datasets.split import Split, StoredImages
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width as stored, C channels

NUM_BUFFERS = 4
"""Batches in host memory: one in use, the others read ahead."""
IMAGES_PER_TASK = 8
"""Read, or decoded, by a thread in one go."""
MAX_READERS = 4
"""Threads that read decoded images into a GPU's buffers: they copy from the page cache, a few gigabytes a
second each."""


class StreamedImages:
    """Images of a split, or some rows of it, on the way to a device; it can stand where a tensor of
    `Preprocessing.resident` does.
    """

    def __init__(
        self,
        split: Split,
        preprocessing: Preprocessing,
        device: torch.device,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.device = device
        self._images: StoredImages = split.images
        self._file = split.file
        self._rows = np.arange(len(split)) if rows is None else rows
        self._preprocessing = preprocessing
        self._copying = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, chosen: slice) -> Tensor:
        """Some images one after another, on the device."""
        (images_NHWC,) = self.batches([torch.arange(len(self))[chosen]])
        return images_NHWC.clone()

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in order, so many at a time; each batch lasts until the next one is asked for."""
        return self.batches(torch.arange(len(self)).split(size))

    def batches(
        self, chosen: Sequence[Tensor], crops: Sequence[NDArray[np.float64]] | None = None
    ) -> Iterator[Tensor]:
        """uint8 images (B, H', W', C) at the positions (B,) of each batch, on the device; each lasts until
        the next one is asked for.

        With `crops`, (B, 4) as `Crop` has them, a rectangle of each image in place of its middle, for images
        at their own sizes.
        """
        if not chosen:
            return
        most = max(len(chosen_B) for chosen_B in chosen)
        threads = ThreadPoolExecutor(self._num_threads, thread_name_prefix="images")
        ring = [_Buffer.of(most, self._shape, self.device) for _ in range(min(NUM_BUFFERS, len(chosen)))]
        under_way: deque[list[Future[None]]] = deque()
        try:
            for index in range(len(ring)):
                under_way.append(self._begun(threads, ring[index], chosen, crops, index))
            for index, chosen_B in enumerate(chosen):
                for filled in under_way.popleft():
                    filled.result()
                buffer = ring[index % len(ring)]
                yield self._shrunk(buffer.on_device(len(chosen_B), self._copying))
                if index + len(ring) < len(chosen):
                    under_way.append(self._begun(threads, buffer, chosen, crops, index + len(ring)))
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def _begun(
        self,
        threads: ThreadPoolExecutor,
        buffer: "_Buffer",
        chosen: Sequence[Tensor],
        crops: Sequence[NDArray[np.float64]] | None,
        index: int,
    ) -> list[Future[None]]:
        """One batch on its way into a buffer."""
        buffer.await_copy()
        rows, of_batch = self._rows[chosen[index].numpy()], None if crops is None else crops[index]
        cuts = [*range(0, len(rows), IMAGES_PER_TASK), len(rows)]
        return [
            threads.submit(self._fill, buffer.array, rows, of_batch, start, end)
            for start, end in pairwise(cuts)
        ]

    def _fill(
        self,
        array: NDArray[np.uint8],
        rows: NDArray[np.int64],
        crops: NDArray[np.float64] | None,
        start: int,
        end: int,
    ) -> None:
        for position in range(start, end):
            row = int(rows[position])
            if isinstance(self._images, EncodedImages):
                array[position] = self._decoded(
                    row, None if crops is None else Crop(*crops[position].tolist())
                )
            elif self._file is not None:
                self._file.read_into(array[position], row * array[position].nbytes)
            else:
                array[position] = self._images[row]

    def _decoded(self, row: int, crop: Crop | None) -> NDArray[np.uint8]:
        assert isinstance(self._images, EncodedImages)
        images, side = self._images, self._preprocessing.scaled_size
        if self._file is not None:  # not through the mapped file, whose pages would count as this process's
            content = self._file.read(int(images.starts[row]), int(images.lengths[row]))
            images, row = EncodedImages.of([content], images.channels), 0
        return images.fitted(row, side) if crop is None else images.cropped(row, side, crop)

    def _shrunk(self, images_BHWC: Tensor) -> Tensor:
        return self._preprocessing.shrunk(images_BHWC) if self._preprocessing.is_shrunk else images_BHWC

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of an image in a buffer: as stored, or as decoded."""
        pixels = self._preprocessing
        return pixels.height, pixels.width, pixels.channels

    @property
    def _num_threads(self) -> int:
        """A CPU's own threads train; reading takes little beside them, decoding as much as it takes."""
        num_own = torch.get_num_threads()
        if isinstance(self._images, EncodedImages):
            return num_own if self.device.type == "cpu" else num_own + 1
        return 1 if self.device.type == "cpu" else min(num_own + 1, MAX_READERS)


DeviceImages = Tensor | StreamedImages
"""uint8 images (N, H', W', C) where a training runs, or on their way there."""


def on_device(
    split: Split,
    preprocessing: Preprocessing,
    device: torch.device,
    *,
    is_streamed: bool,
    rows: NDArray[np.int64] | None = None,
) -> DeviceImages:
    """Images of a split, or some rows of it, for `device`: all there, or streamed."""
    if is_streamed:
        return StreamedImages(split, preprocessing, device, rows)
    return preprocessing.resident(split.images if rows is None else split.images[rows], device)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Buffer:
    """Host memory for one batch; for a GPU it is pinned, so that copies do not wait."""

    tensor: Tensor
    array: NDArray[np.uint8] = field(repr=False)
    """The same memory."""
    device: torch.device
    copied: "torch.cuda.Event | None" = None

    @classmethod
    def of(cls, num_images: int, shape: tuple[int, int, int], device: torch.device) -> "_Buffer":
        is_cuda = device.type == "cuda"
        tensor = torch.empty((num_images, *shape), dtype=torch.uint8, pin_memory=is_cuda)
        copied = torch.cuda.Event() if is_cuda else None
        return cls(tensor=tensor, array=tensor.numpy(), device=device, copied=copied)

    def on_device(self, num_images: int, copying: "torch.cuda.Stream | None") -> Tensor:
        """Its images on the device; the copy to a GPU runs beside what the GPU computes meanwhile."""
        images_BHWC = self.tensor[:num_images]
        if copying is None or self.copied is None:
            return images_BHWC
        with torch.cuda.stream(copying):
            copy_BHWC = images_BHWC.to(self.device, non_blocking=True)
            self.copied.record(copying)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(self.copied)
        copy_BHWC.record_stream(computing)
        return copy_BHWC

    def await_copy(self) -> None:
        """Returns once the images may be overwritten."""
        if self.copied is not None:
            self.copied.synchronize()
