"""IDX files, the format of MNIST: https://yann.lecun.org/exdb/mnist, plain or gzipped."""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import MAX_PIXELS
from trainables.datasets.sources.source import Format, Source, SourceImage, numbered_classes
from trainables.errors import DatasetError

FILE_NAME = re.compile(
    r"^(?!\.).*(?P<split>train|t10k|test)-(?P<content>images|labels)[-.]idx[13]-ubyte(\.gz)?$"
)
SPLIT_OF_PREFIX = {"train": "train", "t10k": "test", "test": "test"}
IMAGES_MAGIC = 0x00000803
LABELS_MAGIC = 0x00000801
MAX_LABELS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class IdxFiles:
    """The two files of one split."""

    images: Path
    labels: Path


def read_idx(folder: Path, options: AddOptions) -> Source:
    """The images of a folder of IDX files, `t10k` being the test split.

    Raises DatasetError on a file without its pair, a wrong magic number, a truncated file, or different
    numbers of images and labels.
    """
    files = _idx_files(folder)
    labels = {split: _read_labels(pair.labels) for split, pair in files.items()}
    for split, pair in files.items():
        _check_count(pair, len(labels[split]))
    return Source(
        description=str(folder.resolve()),
        classes=numbered_classes(np.concatenate(list(labels.values())), options),
        images=_images(files, labels),
        num_images=sum(len(numbers) for numbers in labels.values()),
    )


FORMAT = Format(
    looks_like="a folder with train-images-idx3-ubyte files",
    has_columns=False,
    is_at=lambda path: path.is_dir() and bool(_idx_files(path)),
    read=read_idx,
)


def _idx_files(folder: Path) -> dict[str, IdxFiles]:
    """Of a folder by split, empty if there are none.

    Raises DatasetError if one of a pair is missing or double.
    """
    found: dict[tuple[str, str], Path] = {}
    # Plain files sort before their gzipped twins, and win.
    for path in sorted(folder.iterdir()):
        if (match := FILE_NAME.search(path.name)) and path.is_file():
            key = (SPLIT_OF_PREFIX[match["split"]], match["content"])
            first = found.setdefault(key, path)
            if path.name not in (first.name, f"{first.name}.gz"):
                raise DatasetError(
                    f"{folder} must hold one file of {key[0]} {key[1]}, found {first.name} and {path.name}; "
                    "use one folder each"
                )
    return {split: _pair(folder, found, split) for split in dict.fromkeys(split for split, _ in found)}


def _pair(folder: Path, found: Mapping[tuple[str, str], Path], split: str) -> IdxFiles:
    for content in ("images", "labels"):
        if (split, content) not in found:
            raise DatasetError(f"IDX files come in pairs: {folder} has no {content} of {split}")
    return IdxFiles(images=found[split, "images"], labels=found[split, "labels"])


def _read_labels(path: Path) -> NDArray[np.int64]:
    with _open(path) as file:
        (num_labels,) = _read_header(file, path, LABELS_MAGIC, num_sizes=1)
        if num_labels > MAX_LABELS:
            raise DatasetError(f"{path} promises {num_labels:,} labels; a file has at most {MAX_LABELS:,}")
        labels = np.frombuffer(_read_exactly(file, path, num_labels), np.uint8).astype(np.int64)
        _expect_end(file, path)
    return labels


def _check_count(pair: IdxFiles, num_labels: int) -> None:
    with _open(pair.images) as file:
        num_images, height, width = _read_header(file, pair.images, IMAGES_MAGIC, num_sizes=3)
    if not 1 <= height * width <= MAX_PIXELS:
        raise DatasetError(
            f"{pair.images} promises images of {height:,} x {width:,} pixels; an image has 1 to "
            f"{MAX_PIXELS:,}"
        )
    if num_images != num_labels:
        raise DatasetError(
            f"each image needs one label: {pair.images} has {num_images} images, {pair.labels} has "
            f"{num_labels} labels"
        )


def _images(files: Mapping[str, IdxFiles], labels: Mapping[str, NDArray[np.int64]]) -> Iterator[SourceImage]:
    for split, pair in files.items():
        with _open(pair.images) as file:
            _, height, width = _read_header(file, pair.images, IMAGES_MAGIC, num_sizes=3)
            for row, label in enumerate(labels[split]):
                image = np.frombuffer(_read_exactly(file, pair.images, height * width), np.uint8).reshape(
                    height, width
                )
                yield SourceImage(
                    name=f"{split} row {row}", load=partial(np.asarray, image), label=int(label), split=split
                )
            _expect_end(file, pair.images)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _read_header(file: IO[bytes], path: Path, magic: int, *, num_sizes: int) -> list[int]:
    found = int.from_bytes(_read_exactly(file, path, 4), "big")
    if found != magic:
        raise DatasetError(f"{path} must begin with the IDX magic number {magic:#010x}, found {found:#010x}")
    return [int.from_bytes(_read_exactly(file, path, 4), "big") for _ in range(num_sizes)]


def _read_exactly(file: IO[bytes], path: Path, num_bytes: int) -> bytes:
    content = _read(file, path, num_bytes)
    if len(content) != num_bytes:
        raise DatasetError(f"{path} is truncated: it ends before what its header promises; fetch it again")
    return content


def _expect_end(file: IO[bytes], path: Path) -> None:
    if _read(file, path, 1):
        raise DatasetError(f"{path} goes on after what its header promises; fetch it again")


def _read(file: IO[bytes], path: Path, num_bytes: int) -> bytes:
    try:
        return file.read(num_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path} is truncated or not gzipped ({error}); fetch it again") from error
