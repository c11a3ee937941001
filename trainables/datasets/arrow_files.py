"""One split as one Arrow IPC file: a single record batch, so that a mapped file is one array.

Columns: image fixed_size_binary(H*W*C), label int64, name string, digest fixed_size_binary(16), and in the
test split `clean` bool: no image of train or validation has the same pixels.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainables.datasets.split import Split
from trainables.errors import DatasetError


def write_split(
    path: Path,
    chunks: Iterable[NDArray[np.uint8]],
    *,
    labels: NDArray[np.int64],
    names: Sequence[str],
    digests: NDArray[np.bytes_],
    clean: NDArray[np.bool_] | None = None,
) -> str:
    """Writes one split and returns its digest: SHA-256 over all pixels, then all labels.

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
    digest.update(labels.astype("<i8").tobytes())
    with pa.memory_map(str(scratch)) as mapped:
        columns = {
            "image": _fixed_size_binary(mapped.read_buffer(), num_rows=len(labels)),
            "label": pa.array(labels),
            "name": pa.array(names, pa.string()),
            "digest": _fixed_size_binary(pa.py_buffer(digests.tobytes()), num_rows=len(labels)),
        }
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
        labels=np.frombuffer(labels.buffers()[1], np.int64, count=len(labels)),
    )


def read_clean_mask(path: Path) -> NDArray[np.bool_]:
    """The `clean` column of a test split, (N,) bool. Raises DatasetError if the file is damaged."""
    is_clean_N: NDArray[np.bool_] = _map_batch(path).column("clean").to_numpy(zero_copy_only=False)
    return is_clean_N


def _fixed_size_binary(buffer: Any, *, num_rows: int) -> Any:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(buffer.size // num_rows), num_rows, [None, buffer])


def _map_batch(path: Path) -> Any:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetError(
            f"damaged dataset: {path} is not a whole Arrow file ({error}); add the dataset again with "
            "--replace"
        ) from error
