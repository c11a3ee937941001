"""A CSV that lists image files, one a row: `filename,label` and, where it has them, `group` and `split`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.columns import find_column, kept_columns, optional_column
from trainables.datasets.sources.csv_rows import read_columns, rows_of
from trainables.datasets.sources.source import (
    Format,
    Source,
    SourceImage,
    group_of_name,
    numbered_classes,
    refuse_class_names,
)
from trainables.datasets.sources.split_words import split_of_word
from trainables.errors import DatasetError

FILE_COLUMNS = ("filename", "file_name", "file", "path", "image")
LABEL_COLUMNS = ("label", "class", "emotion", "target")
GROUP_COLUMNS = ("group",)
SPLIT_COLUMNS = ("split", "Usage", "usage")
NUMBER = re.compile(r"[0-9]{1,9}")
"""Labels that are numbers; longer ones are names."""
PIXELS_COLUMN = "pixels"
"""A CSV that has it holds the images themselves."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    line: int
    file: str | None
    label: str | None
    group: str | None
    split: str | None
    kept: tuple[str | None, ...]


def read_listing_csv(path: Path, options: AddOptions) -> Source:
    """The image files that a CSV lists; those that are not absolute lie beside it.

    Labels are names of classes, sorted, or whole numbers from 0. A blank label, file or group is none.
    Raises DatasetError if a column is missing, a row is not CSV, or a split has no usual name.
    """
    columns = read_columns(path)
    wanted = (
        find_column(columns, options.image_column, FILE_COLUMNS, "--image-column"),
        find_column(columns, options.label_column, LABEL_COLUMNS, "--label-column"),
        _group_column(columns, options),
        optional_column(columns, options.split_column, SPLIT_COLUMNS, "--split-column"),
        *kept_columns(columns, options.keep_columns),
    )
    rows = [
        _Row(line=line, file=file, label=label, group=group, split=split, kept=tuple(kept))
        for line, (file, label, group, split, *kept) in enumerate(rows_of(path, wanted), start=2)
    ]
    labels = {row.label for row in rows if row.label is not None}
    are_numbers = bool(labels) and all(NUMBER.fullmatch(label) for label in labels)
    classes = _classes(labels, options, are_numbers=are_numbers)
    number_of_label = (
        {label: int(label) for label in labels}
        if are_numbers
        else {name: number for number, name in enumerate(classes)}
    )
    return Source(
        description=str(path.resolve()),
        classes=classes,
        images=_images(path, rows, number_of_label, options, has_splits=wanted[3] is not None),
        num_images=len(rows),
        needs_groups=options.group_pattern is not None,
    )


def _is_listing(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    columns = read_columns(path)
    return PIXELS_COLUMN not in columns and any(name in columns for name in FILE_COLUMNS)


FORMAT = Format(
    looks_like="a .csv file with filename,label and, where there are some, group and split",
    has_columns=True,
    has_file_names=True,
    is_at=_is_listing,
    read=read_listing_csv,
)


def _group_column(columns: Sequence[str], options: AddOptions) -> str | None:
    """The column of the groups; none where a pattern of file names tells them."""
    if options.group_pattern is not None:
        return None
    return optional_column(columns, options.group_column, GROUP_COLUMNS, "--group-column")


def _classes(labels: set[str], options: AddOptions, *, are_numbers: bool) -> tuple[str, ...]:
    if are_numbers:
        return numbered_classes(np.array([int(label) for label in labels], np.int64), options)
    classes = tuple(sorted(labels))
    refuse_class_names(options, classes)
    return classes


def _images(
    path: Path,
    rows: Sequence[_Row],
    number_of_label: Mapping[str, int],
    options: AddOptions,
    *,
    has_splits: bool,
) -> Iterator[SourceImage]:
    for row in rows:
        name = row.file or f"line {row.line}"
        yield SourceImage(
            name=name,
            load=None if row.file is None else partial(_read, path.parent / row.file),
            label=None if row.label is None else number_of_label[row.label],
            split=_split(row, path) if has_splits else None,
            group=row.group if options.group_pattern is None else group_of_name(name, options.group_pattern),
            kept=row.kept,
        )


def _read(file: Path) -> bytes:
    if not file.is_file():  # a folder, a pipe or a device may keep a reader waiting for ever
        raise FileNotFoundError(file)
    return file.read_bytes()


def _split(row: _Row, path: Path) -> str:
    split = split_of_word(row.split or "")
    if split is None:
        raise DatasetError(
            f"a split must be train, validation or test, got {row.split or ''!r} in line {row.line} of {path}"
        )
    return split
