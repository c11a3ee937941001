"""One split as one Arrow IPC file: a single record batch, so that a mapped file is one array.

Columns: label int64, name string, digest fixed_size_binary(16); in a dataset of grouped images `group` int64,
equal for images of one group in any split, and `group_name` string, null for an image of no group, which is a
group by itself; in the test split `clean` bool: no image of train or validation has the same pixels, or is of
the same group. Columns `kept:NAME` string hold what a person keeps of a source's table, null where an image
has none. The first column, `image`, is fixed_size_binary(H*W*C) where images are stored decoded, and
large_binary where they are stored as the files that they came in.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainables.atomic import atomic_file
from trainables.datasets.arrow_holes import content_offset, fixed_size_binary, reserve
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.image_file import ImageFile
from trainables.datasets.split import Split
from trainables.errors import DatasetError

_BYTES_AT_ONCE = 2**23
_KEPT = "kept:"
"""Begins the names of columns that a person keeps."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The group of each image of a split: a person, a patient, a film."""

    numbers: NDArray[np.int64]
    """(N,) equal for images of one group, in any split of the dataset."""
    names: Sequence[str | None]
    """(N,) as the source has them; None for an image of no group."""


@dataclass(frozen=True, kw_only=True)
class SplitRows:
    """What a split's file holds besides the images themselves; N images, at least one."""

    lengths: NDArray[np.int64]
    """(N,) bytes of each image."""
    is_encoded: bool
    """Whether images are stored as the files that they came in; otherwise all have one length."""
    labels: NDArray[np.int64]
    names: Sequence[str]
    digests: NDArray[np.bytes_]
    groups: Groups | None = None
    clean: NDArray[np.bool_] | None = None
    kept: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """By column that a person keeps: the value of each image; None for one without. No digest takes them
    in."""


class SplitFile:
    """A split in the making: all but its images is written at first, then the images in order.

    The file has its whole length from the beginning, but takes no more of the disk than what is written. One
    that is there already, of the same rows, is written further, or again.
    """

    def __init__(self, path: Path, rows: SplitRows) -> None:
        if not path.exists():
            with atomic_file(path) as unfinished:
                _reserve(unfinished, rows)
        self._rows = rows
        self._file: BinaryIO = path.open("r+b")
        self._file.seek(content_offset(path, "image"))
        self._digest = hashlib.sha256()

    def write(self, images: NDArray[np.uint8]) -> None:
        """Appends one or more images."""
        content = np.ascontiguousarray(images).data
        self._file.write(content)
        self._digest.update(content)

    def skip(self, num_bytes: int) -> None:
        """Leaves images as they are that were written earlier."""
        while num_bytes:
            content = self._file.read(min(num_bytes, _BYTES_AT_ONCE))
            self._digest.update(content)
            num_bytes -= len(content)

    def flush(self) -> None:
        """What was written outlives this process from here on."""
        self._file.flush()

    def close(self) -> str:
        """Ends the writing and returns the split's digest: SHA-256 over all images, then the lengths of
        encoded ones, then all labels, then all groups if there are some.
        """
        self._file.close()
        rows = self._rows
        self._digest.update(
            _content_of_rows(
                rows.lengths if rows.is_encoded else None,
                rows.labels,
                None if rows.groups is None else rows.groups.numbers,
            )
        )
        return self._digest.hexdigest()


def map_split(path: Path, height: int, width: int, channels: int, *, is_encoded: bool = False) -> Split:
    """Maps a split without copying: (N, H, W, C) uint8 images and (N,) int64 labels, read-only; of encoded
    images height and width do not matter.

    Raises DatasetError if the file is missing, truncated, or holds images of another size.
    """
    batch = _map_batch(path)
    images, labels = batch.column("image"), batch.column("label")
    expected = pa.large_binary() if is_encoded else pa.binary(height * width * channels)
    if images.type != expected:
        what = "encoded" if is_encoded else f"{height}x{width}x{channels}"
        raise DatasetError(
            f"damaged dataset: {path} must hold {what} images, found {images.type}; add it again"
        )
    return Split(
        images=_encoded(images, channels) if is_encoded else _decoded(images, height, width, channels),
        labels=_whole_numbers(labels),
        groups=_whole_numbers(batch.column("group")) if "group" in batch.schema.names else None,
        file=ImageFile(path, content_offset(path, "image")),
    )


def split_digest(split: Split) -> str:
    """The digest that `SplitFile.close` returned for a split; it reads every image."""
    digest = hashlib.sha256()
    for chunk in _chunks(split):
        digest.update(np.ascontiguousarray(chunk).data)
    lengths = split.images.lengths if isinstance(split.images, EncodedImages) else None
    digest.update(_content_of_rows(lengths, split.labels, split.groups))
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


def read_names(path: Path) -> tuple[list[str], list[str | None]]:
    """The name of each image of a split (N,), and of its group, None for none.

    Raises DatasetError if the file is damaged.
    """
    batch = _map_batch(path)
    names: list[str] = batch.column("name").to_pylist()
    has_groups = "group_name" in batch.schema.names
    return names, batch.column("group_name").to_pylist() if has_groups else [None] * len(names)


def read_kept(path: Path) -> dict[str, list[str | None]]:
    """By column that a person keeps: the value of each image of a split (N,), None where it has none.

    Raises DatasetError if the file is damaged.
    """
    batch = _map_batch(path)
    return {
        name.removeprefix(_KEPT): batch.column(name).to_pylist()
        for name in batch.schema.names
        if name.startswith(_KEPT)
    }


def _decoded(images: Any, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    shape = (len(images), height, width, channels)
    return np.frombuffer(images.buffers()[1], np.uint8, count=int(np.prod(shape))).reshape(shape)


def _encoded(images: Any, channels: int) -> EncodedImages:
    offsets = np.frombuffer(images.buffers()[1], np.int64, count=len(images) + 1)
    content = np.frombuffer(images.buffers()[2], np.uint8)
    return EncodedImages(content, offsets[:-1], np.diff(offsets), channels)


def _reserve(path: Path, rows: SplitRows) -> None:
    """Writes a split's file with a hole in place of the images."""

    def batch_around(images: Any) -> Any:
        columns = {
            "image": _image_column(images, rows),
            "label": pa.array(rows.labels),
            "name": pa.array(rows.names, pa.string()),
            "digest": fixed_size_binary(pa.py_buffer(rows.digests.tobytes()), len(rows.labels)),
        }
        if rows.groups is not None:
            columns["group"] = pa.array(rows.groups.numbers)
            columns["group_name"] = pa.array(rows.groups.names, pa.string())
        if rows.clean is not None:
            columns["clean"] = pa.array(rows.clean)
        for name, values in rows.kept.items():
            columns[f"{_KEPT}{name}"] = pa.array(values, pa.string())
        return pa.record_batch(columns)

    reserve(path, int(rows.lengths.sum()), batch_around)


def _image_column(content: Any, rows: SplitRows) -> Any:
    if not rows.is_encoded:
        return fixed_size_binary(content, len(rows.labels))
    offsets = np.concatenate([[0], np.cumsum(rows.lengths)]).astype(np.int64)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(rows.labels), [None, pa.py_buffer(offsets), content]
    )


def _chunks(split: Split) -> Iterator[NDArray[np.uint8]]:
    if isinstance(split.images, EncodedImages):
        for row in range(len(split)):
            yield np.frombuffer(split.images[row], np.uint8)
        return
    step = max(1, _BYTES_AT_ONCE // max(1, split.images[:1].nbytes))
    for start in range(0, len(split), step):
        yield split.images[start : start + step]


def _whole_numbers(column: Any) -> NDArray[np.int64]:
    return np.frombuffer(column.buffers()[1], np.int64, count=len(column))


def _content_of_rows(*columns: NDArray[np.int64] | None) -> bytes:
    """What the digest of a split takes in after the images."""
    return b"".join(column.astype("<i8").tobytes() for column in columns if column is not None)


def _map_batch(path: Path) -> Any:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetError(
            f"damaged dataset: {path} is not a whole Arrow file ({error}); add the dataset again with "
            "--replace"
        ) from error
