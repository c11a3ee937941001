"""Parquet as Hugging Face writes it: an image column of encoded bytes, and labels with their names in the
schema.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.columns import find_column, kept_columns, optional_column
from trainables.datasets.sources.source import (
    Format,
    Source,
    SourceImage,
    numbered_classes,
    refuse_class_names,
)
from trainables.datasets.sources.split_words import split_of_word
from trainables.errors import DatasetError
from trainables.printable import quoted

USUAL_IMAGE_COLUMNS = ("image", "img", "images")
USUAL_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")
ROWS_PER_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of the files mean what."""

    image: str
    label: str
    split: str | None
    group: str | None
    kept: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All of them, for reading no others."""
        named = (self.image, self.label, self.split, self.group, *self.kept)
        return list(dict.fromkeys(name for name in named if name is not None))


def read_parquet(source: Path, options: AddOptions) -> Source:
    """The rows of a parquet file, or of those in a folder and its folders (`data/`, `train/`).

    Splits come from the split column of the options, else from the files' names. Raises DatasetError if a
    file is damaged, a column is missing or of a wrong type, or files disagree.
    """
    files = _parquet_files(source)
    schemas = [_read_schema(path) for path in files]
    columns = _find_columns(schemas[0], options)
    for path, schema in zip(files, schemas, strict=True):
        _check_columns(path, schema, columns)
    splits = _splits_of_files(source, files) if columns.split is None else [None] * len(files)
    classes = _class_names(files, schemas, columns, options)
    return Source(
        description=str(source.resolve()),
        classes=classes,
        images=_images(files, splits, columns, classes, _names_of_numbers(files[0], schemas[0], columns)),
        num_images=sum(pq.read_metadata(path).num_rows for path in files),
    )


FORMAT = Format(
    looks_like="a .parquet file or a folder with some",
    has_columns=True,
    is_at=lambda path: bool(_parquet_files(path)),
    read=read_parquet,
)


def _parquet_files(source: Path) -> list[Path]:
    """In order of their paths; empty where there are none."""
    if not source.is_dir():
        return [source] if source.suffix.lower() == ".parquet" else []
    found = [*source.glob("*.parquet"), *source.glob("*/*.parquet")]
    return sorted(
        path
        for path in found
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )


def _read_schema(path: Path) -> Any:
    with _damage_refused(path):
        return pq.read_schema(path)


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is not a whole parquet file ({error}); fetch it again") from error


def _find_columns(schema: Any, options: AddOptions) -> Columns:
    names = schema.names
    return Columns(
        image=find_column(names, options.image_column, USUAL_IMAGE_COLUMNS, "--image-column"),
        label=find_column(names, options.label_column, USUAL_LABEL_COLUMNS, "--label-column"),
        split=optional_column(names, options.split_column, (), "--split-column"),
        group=optional_column(names, options.group_column, (), "--group-column"),
        kept=kept_columns(names, options.keep_columns),
    )


def _check_columns(path: Path, schema: Any, columns: Columns) -> None:
    missing = [name for name in columns.names if name not in schema.names]
    if missing:
        raise DatasetError(
            f"all files must have the same columns: {path} has no {', '.join(missing)}; it has "
            f"{', '.join(schema.names)}"
        )
    if repeated := [name for name in columns.names if schema.names.count(name) > 1]:
        raise DatasetError(
            f"{path} has {schema.names.count(repeated[0])} columns called {quoted(repeated[0])}, so which "
            "one is meant cannot be told; write the file with one"
        )
    image, label = schema.field(columns.image).type, schema.field(columns.label).type
    if not (_is_binary(image) or (pa.types.is_struct(image) and _has_bytes(image))):
        raise DatasetError(
            f"column {columns.image!r} of {path} must hold encoded images (binary, or a struct with bytes), "
            f"found {image}"
        )
    if not (pa.types.is_integer(label) or _is_text(label)):
        raise DatasetError(
            f"column {columns.label!r} of {path} must hold whole numbers or class names, found {label}; see "
            "--label-column"
        )
    for name in columns.kept:
        if not _is_scalar(kept := schema.field(name).type):
            raise DatasetError(
                f"a column that is kept must hold text, numbers or true and false; {name!r} of {path} holds "
                f"{kept}"
            )


def _splits_of_files(source: Path, files: Sequence[Path]) -> list[str | None]:
    if source in files:
        # One file named by the person is the whole dataset, whatever it is called.
        return [None]
    splits = [_split_of_file(path.relative_to(source)) for path in files]
    if any(splits) and not all(splits):
        unclear = next(path for path, split in zip(files, splits, strict=True) if split is None)
        raise DatasetError(
            f"either all file names tell their split (train, validation, test) or none does: {unclear.name} "
            "does not"
        )
    return splits


def _split_of_file(path: Path) -> str | None:
    words = re.split(r"[^a-z0-9]+", str(path.with_suffix("")).lower())
    splits = {split for word in words if (split := split_of_word(word)) is not None}
    return splits.pop() if len(splits) == 1 else None


def _class_names(
    files: Sequence[Path], schemas: Sequence[Any], columns: Columns, options: AddOptions
) -> tuple[str, ...]:
    is_text = {_is_text(schema.field(columns.label).type) for schema in schemas}
    names = {_names_in_metadata(*one, columns.label) for one in zip(files, schemas, strict=True)}
    if len(is_text) > 1 or len(names) > 1:
        raise DatasetError(
            "all files must have the same class names, but those of "
            f"{', '.join(path.name for path in files)} differ"
        )
    (known,) = names
    if known is None and is_text == {False}:
        return numbered_classes(
            _distinct_labels(files, columns).to_numpy(zero_copy_only=False).astype(np.int64), options
        )
    classes = known or tuple(sorted(_distinct_labels(files, columns).to_pylist()))
    refuse_class_names(options, classes)
    return classes


def _names_in_metadata(path: Path, schema: Any, label_column: str) -> tuple[str, ...] | None:
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label_column]
        names = feature["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        # Files that Hugging Face did not write, or a label that is a plain number.
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DatasetError(
            f"the class names in the metadata of {path} must be a list of texts, got {quoted(names)}; write "
            "the file again without them, and name the classes with --classes"
        )
    return tuple(names)


def _distinct_labels(files: Sequence[Path], columns: Columns) -> Any:
    return pa.chunked_array([_read_labels(path, columns.label) for path in files]).unique().drop_null()


def _read_labels(path: Path, label_column: str) -> Any:
    with _damage_refused(path), pq.ParquetFile(path) as file:
        labels = file.read(columns=[label_column]).column(0)
        return labels.cast(pa.string() if _is_text(labels.type) else pa.int64()).combine_chunks()


def _images(
    files: Sequence[Path],
    splits: Sequence[str | None],
    columns: Columns,
    classes: tuple[str, ...],
    names: Mapping[str, tuple[str, ...]],
) -> Iterator[SourceImage]:
    label_of_class = {name: label for label, name in enumerate(classes)}
    for path, split in zip(files, splits, strict=True):
        for row, values in enumerate(_rows(path, columns)):
            image, label = values[columns.image], values[columns.label]
            struct = image if isinstance(image, dict) else {"bytes": image}
            yield SourceImage(
                name=str(struct.get("path") or f"{path.name} row {row}"),
                load=None if struct["bytes"] is None else partial(bytes, struct["bytes"]),
                label=label_of_class.get(label, len(classes)) if isinstance(label, str) else label,
                split=split if columns.split is None else _parse_split(values[columns.split], path, row),
                group=None
                if columns.group is None or values[columns.group] is None
                else str(values[columns.group]),
                kept=tuple(_kept_text(values[name], names.get(name)) for name in columns.kept),
            )


def _rows(path: Path, columns: Columns) -> Iterator[dict[str, Any]]:
    with _damage_refused(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_PER_BATCH, columns=columns.names):
            yield from batch.to_pylist()


def _parse_split(value: object, path: Path, row: int) -> str:
    split = split_of_word(str(value))
    if split is None:
        raise DatasetError(f"a split must be train, validation or test, got {value!r} in row {row} of {path}")
    return split


def _has_bytes(struct: Any) -> bool:
    index = struct.get_field_index("bytes")
    return index >= 0 and _is_binary(struct.field(index).type)


def _is_text(type_: Any) -> bool:
    return (
        pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or (pa.types.is_dictionary(type_) and _is_text(type_.value_type))
    )


def _is_binary(type_: Any) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _is_scalar(type_: Any) -> bool:
    return _is_text(type_) or any(
        is_one(type_) for is_one in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    )


def _names_of_numbers(path: Path, schema: Any, columns: Columns) -> dict[str, tuple[str, ...]]:
    """By kept column: the names that Hugging Face's metadata give its numbers."""
    names = {name: _names_in_metadata(path, schema, name) for name in columns.kept}
    return {name: known for name, known in names.items() if known is not None}


def _kept_text(value: object, names: tuple[str, ...] | None) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    # A column of whole numbers with gaps is often written as one of floats.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
