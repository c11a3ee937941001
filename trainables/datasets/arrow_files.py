"""One split as one Arrow IPC file: a single record batch, so that a mapped file is one array.

Columns: image fixed_size_binary(H*W*C), label int64, name string, digest fixed_size_binary(16); in a dataset
of grouped images `group` int64, equal for images of one group in any split, and `group_name` string, null
for an image of no group, which is a group by itself; and in the test split `clean` bool: no image of train
or validation has the same pixels, or is of the same group.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainables.datasets.split import Split
from trainables.errors import DatasetError

_IMAGES_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The group of each image of a split: a person, a patient, a film."""

    numbers: NDArray[np.int64]
    """(N,) equal for images of one group, in any split of the dataset."""
    names: Sequence[str | None]
    """(N,) as the source has them; None for an image of no group."""


def write_split(
    path: Path,
    chunks: Iterable[NDArray[np.uint8]],
    *,
    labels: NDArray[np.int64],
    names: Sequence[str],
    digests: NDArray[np.bytes_],
    groups: Groups | None = None,
    clean: NDArray[np.bool_] | None = None,
) -> str:
    """Writes one split and returns its digest: SHA-256 over all pixels, then all labels, then all groups if
    there are some.

    `chunks` are (n, H, W, C) arrays that together hold one image per label, at least one. Needs a scratch
    file beside `path` as large as the pixels; memory stays at one chunk.
    """
    scratch = path.with_suffix(".pixels")
    digest = hashlib.sha256()
    with scratch.open("wb") as file:
        for chunk in chunks:
            pixels = np.ascontiguousarray(chunk).data
            file.write(pixels)
            digest.update(pixels)
    digest.update(_content_of_rows(labels, None if groups is None else groups.numbers))
    with pa.memory_map(str(scratch)) as mapped:
        columns = {
            "image": _fixed_size_binary(mapped.read_buffer(), num_rows=len(labels)),
            "label": pa.array(labels),
            "name": pa.array(names, pa.string()),
            "digest": _fixed_size_binary(pa.py_buffer(digests.tobytes()), num_rows=len(labels)),
        }
        if groups is not None:
            columns["group"] = pa.array(groups.numbers)
            columns["group_name"] = pa.array(groups.names, pa.string())
        if clean is not None:
            columns["clean"] = pa.array(clean)
        batch = pa.record_batch(columns)
        with pa.ipc.new_file(str(path), batch.schema) as writer:
            writer.write_batch(batch)
    scratch.unlink()
    return digest.hexdigest()


def map_split(path: Path, height: int, width: int, channels: int) -> Split:
    """Maps a split without copying: (N, H, W, C) uint8 images and (N,) int64 labels, read-only.

    Raises DatasetError if the file is missing, truncated, or holds images of another size.
    """
    batch = _map_batch(path)
    images, labels = batch.column("image"), batch.column("label")
    if images.type != pa.binary(height * width * channels):
        raise DatasetError(
            f"damaged dataset: {path} must hold {height}x{width}x{channels} images, found {images.type}; add "
            "it again"
        )
    shape = (len(images), height, width, channels)
    return Split(
        images=np.frombuffer(images.buffers()[1], np.uint8, count=int(np.prod(shape))).reshape(shape),
        labels=_whole_numbers(labels),
        groups=_whole_numbers(batch.column("group")) if "group" in batch.schema.names else None,
    )


def split_digest(split: Split) -> str:
    """The digest that `write_split` returned for a split; it reads every pixel."""
    digest = hashlib.sha256()
    for start in range(0, len(split), _IMAGES_AT_ONCE):
        digest.update(np.ascontiguousarray(split.images[start : start + _IMAGES_AT_ONCE]).data)
    digest.update(_content_of_rows(split.labels, split.groups))
    return digest.hexdigest()


def read_pixel_digests(path: Path) -> NDArray[np.bytes_]:
    """The `digest` column of a split, (N,) 16 bytes, equal for images of equal shape and pixels.

    Raises DatasetError if the file is damaged.
    """
    column = _map_batch(path).column("digest")
    return np.frombuffer(column.buffers()[1], np.dtype("V16"), count=len(column))


def read_clean_mask(path: Path) -> NDArray[np.bool_]:
    """The `clean` column of a test split, (N,) bool. Raises DatasetError if the file is damaged."""
    is_clean_N: NDArray[np.bool_] = _map_batch(path).column("clean").to_numpy(zero_copy_only=False)
    return is_clean_N


def _fixed_size_binary(buffer: Any, *, num_rows: int) -> Any:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(buffer.size // num_rows), num_rows, [None, buffer])


def _whole_numbers(column: Any) -> NDArray[np.int64]:
    return np.frombuffer(column.buffers()[1], np.int64, count=len(column))


def _content_of_rows(labels: NDArray[np.int64], groups: NDArray[np.int64] | None) -> bytes:
    """What the digest of a split takes in after the pixels."""
    return b"".join(column.astype("<i8").tobytes() for column in (labels, groups) if column is not None)


def _map_batch(path: Path) -> Any:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetError(
            f"damaged dataset: {path} is not a whole Arrow file ({error}); add the dataset again with "
            "--replace"
        ) from error
