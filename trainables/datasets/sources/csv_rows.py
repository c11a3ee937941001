"""Rows of a CSV, as text, some megabytes at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from trainables.errors import DatasetError

BLOCK_BYTES = 2**24
"""The reader refuses rows longer than this."""


def read_columns(path: Path) -> list[str]:
    """The names in the header, each once. Raises DatasetError if the file is no CSV with one."""
    with _open(path, pa.csv.ConvertOptions()) as reader:
        columns = list(reader.schema.names)
    if doubled := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise DatasetError(
            f"the columns of a CSV have distinct names, but {path} has {', '.join(doubled)} twice; rename one"
        )
    return columns


def rows_of(path: Path, columns: tuple[str | None, ...]) -> Iterator[tuple[str | None, ...]]:
    """The cells of these columns, row by row; None for a blank cell, and for a column that is None.

    Raises DatasetError where a row is not CSV.
    """
    wanted = list(dict.fromkeys(column for column in columns if column is not None))
    types = dict.fromkeys(wanted, pa.string())
    text = pa.csv.ConvertOptions(
        include_columns=wanted, column_types=types, strings_can_be_null=True, null_values=[""]
    )
    with _open(path, text) as reader:
        try:
            for batch in reader:
                values = [
                    batch.column(column).to_pylist() if column else [None] * len(batch) for column in columns
                ]
                yield from zip(*values, strict=True)
        except pa.ArrowInvalid as error:
            raise DatasetError(f"{path} is not a whole CSV: {error}") from error


def _open(path: Path, convert_options: Any) -> Any:
    try:
        return pa.csv.open_csv(
            path, read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES), convert_options=convert_options
        )
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{path} is not a CSV with a header: {error}") from error
