"""The formats of sources, and which of them a path is of."""

from pathlib import Path

from trainables.datasets.options import AddOptions
from trainables.datasets.sources import fer_csv, idx, image_folder, listing_csv, parquet
from trainables.datasets.sources.digits import read_digits
from trainables.datasets.sources.source import Format, Source
from trainables.errors import DatasetError
from trainables.printable import cut

FORMATS: tuple[Format, ...] = (
    parquet.FORMAT,
    listing_csv.FORMAT,
    fer_csv.FORMAT,
    idx.FORMAT,
    image_folder.FORMAT,
)
"""The first that a path is of reads it."""


def read_source(path: Path | None, name: str, options: AddOptions) -> Source:
    """The labelled images at `path`; without one, the built-in dataset called `name`.

    Raises DatasetError if nothing is there, or nothing that is understood.
    """
    if path is None:
        return _read_built_in(name, options)
    if not _is_there(path):
        raise DatasetError(f"--from must be a file or folder that exists, got {cut(str(path))}")
    for known in FORMATS:
        if known.is_at(path):
            if not known.has_columns:
                _refuse_columns(options)
            if not known.has_file_names:
                _refuse_pattern(options)
            return known.read(path, options)
    *others, last = (known.looks_like for known in FORMATS)
    raise DatasetError(f"{path} is none of the sources that are understood: {', '.join(others)}, or {last}")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except OSError:  # a name that is too long for a file
        return False


def _read_built_in(name: str, options: AddOptions) -> Source:
    if name != "digits":
        raise DatasetError(
            f"only the dataset 'digits' is built in, got {name!r}; say where its images are with --from PATH"
        )
    _refuse_columns(options)
    _refuse_pattern(options)
    return read_digits(options)


def _refuse_columns(options: AddOptions) -> None:
    given = {
        "keep_column": options.keep_columns or None,
        **{
            flag: getattr(options, flag)
            for flag in ("image_column", "label_column", "split_column", "group_column")
        },
    }
    for flag, value in given.items():
        if value is not None:
            raise DatasetError(
                f"--{flag.replace('_', '-')} needs a table (parquet or CSV), and this source has no columns; "
                "leave it out"
            )


def _refuse_pattern(options: AddOptions) -> None:
    if options.group_pattern is not None:
        raise DatasetError(
            "--group-pattern reads the names of image files (of a folder, or listed by a CSV), and this "
            "source has none; leave it out, or name a column of a table with --group-column"
        )
