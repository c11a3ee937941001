"""The CSV of FER2013: `emotion,pixels,Usage`, one gray square image a row as numbers separated by blanks."""

import re
from collections.abc import Iterator
from functools import partial
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.columns import find_column, kept_columns, optional_column
from trainables.datasets.sources.csv_rows import read_columns, rows_of
from trainables.datasets.sources.source import Format, Source, SourceImage, refuse_class_names
from trainables.datasets.sources.split_words import split_of_word
from trainables.errors import DatasetError

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SPLIT_OF_USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
PIXELS = re.compile(r" *[0-9][0-9 ]*")


def read_fer_csv(path: Path, options: AddOptions) -> Source:
    """The rows of a FER2013 CSV; other columns are ignored, except a group column that the options name.

    Raises DatasetError if a column is missing or a row is not CSV.
    """
    refuse_class_names(options, CLASSES)
    columns = read_columns(path)
    if options.image_column is None and "pixels" not in columns:
        raise DatasetError(
            f"a CSV has a column pixels (FER2013) or filename (it lists image files): {path} has "
            f"{', '.join(columns)}; rename its column, or name the one of the pixels with --image-column"
        )
    image_column = find_column(columns, options.image_column, ("pixels",), "--image-column")
    label_column = find_column(columns, options.label_column, ("emotion",), "--label-column")
    split_column = optional_column(columns, options.split_column, ("Usage",), "--split-column")
    group_column = optional_column(columns, options.group_column, (), "--group-column")
    kept = kept_columns(columns, options.keep_columns)
    rows = rows_of(path, (image_column, label_column, split_column, group_column, *kept))
    return Source(
        description=str(path.resolve()),
        classes=CLASSES,
        images=_images(path, rows, has_splits=split_column is not None),
    )


FORMAT = Format(
    looks_like="a .csv file with emotion,pixels,Usage",
    has_columns=True,
    is_at=lambda path: path.is_file() and path.suffix.lower() == ".csv",
    read=read_fer_csv,
)


def _images(path: Path, rows: Iterator[tuple[str | None, ...]], *, has_splits: bool) -> Iterator[SourceImage]:
    for line, (pixels, label, usage, group, *kept) in enumerate(rows, start=2):
        yield SourceImage(
            name=f"line {line}",
            load=None if pixels is None else partial(_parse_pixels, pixels),
            label=None if label is None else _parse_label(label, path, line),
            split=_parse_usage(usage or "", path, line) if has_splits else None,
            group=group,
            kept=tuple(kept),
        )


def _parse_pixels(text: str) -> NDArray[np.uint8]:
    if not PIXELS.fullmatch(text):
        raise ValueError("pixels must be whole numbers separated by blanks")
    # Five times as fast as int() on each number; other characters, which it would stop at in silence, are
    # ruled out above.
    values = np.fromstring(text, np.int64, sep=" ")
    side = isqrt(len(values))
    if side * side != len(values) or values.max() > 255:
        raise ValueError(f"pixels must be a square number of values from 0 to 255, got {len(values)} values")
    return values.astype(np.uint8).reshape(side, side)


def _parse_label(text: str, path: Path, line: int) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DatasetError(
            f"an emotion is a number from 0 to {len(CLASSES) - 1}, got {text!r} in line {line} of {path}"
        ) from error


def _parse_usage(text: str, path: Path, line: int) -> str:
    split = SPLIT_OF_USAGE.get(text) or split_of_word(text)
    if split is None:
        raise DatasetError(
            f"a split must be {', '.join(SPLIT_OF_USAGE)} or train, validation, test; got {text!r} in line "
            f"{line} of {path}"
        )
    return split
