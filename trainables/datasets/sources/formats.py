"""The formats of sources, and which of them a path is of."""

from pathlib import Path

from trainables.datasets.options import AddOptions
from trainables.datasets.sources import fer_csv, idx, image_folder, parquet
from trainables.datasets.sources.digits import read_digits
from trainables.datasets.sources.source import Format, Source
from trainables.errors import DatasetError

FORMATS: tuple[Format, ...] = (parquet.FORMAT, fer_csv.FORMAT, idx.FORMAT, image_folder.FORMAT)
"""The first that a path is of reads it."""


def read_source(path: Path | None, name: str, options: AddOptions) -> Source:
    """The labelled images at `path`; without one, the built-in dataset called `name`.

    Raises DatasetError if nothing is there, or nothing that is understood.
    """
    if path is None:
        return _read_built_in(name, options)
    if not path.exists():
        raise DatasetError(f"--from must be a file or folder that exists, got {path}")
    for known in FORMATS:
        if known.is_at(path):
            if not known.has_columns:
                _refuse_columns(options)
            return known.read(path, options)
    *others, last = (known.looks_like for known in FORMATS)
    raise DatasetError(f"{path} is none of the sources that are understood: {', '.join(others)}, or {last}")


def _read_built_in(name: str, options: AddOptions) -> Source:
    if name != "digits":
        raise DatasetError(
            f"only the dataset 'digits' is built in, got {name!r}; say where its images are with --from PATH"
        )
    _refuse_columns(options)
    return read_digits(options)


def _refuse_columns(options: AddOptions) -> None:
    for flag in ("image_column", "label_column", "split_column", "group_column"):
        if getattr(options, flag) is not None:
            raise DatasetError(
                f"--{flag.replace('_', '-')} needs a table (parquet or CSV), and this source has no columns; "
                "leave it out"
            )
