"""Which family of sources a path belongs to."""

from pathlib import Path

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.digits import read_digits
from trainables.datasets.sources.fer_csv import read_fer_csv
from trainables.datasets.sources.idx import find_idx_files, read_idx
from trainables.datasets.sources.image_folder import has_image_folders, read_image_folder
from trainables.datasets.sources.parquet import find_parquet_files, read_parquet
from trainables.datasets.sources.source import Source
from trainables.errors import DatasetError

LOOKED_FOR = (
    "a .parquet file or a folder with some, a .csv file with emotion,pixels,Usage, "
    "a folder with train-images-idx3-ubyte files, or a folder with class/image or split/class/image"
)


def read_source(path: Path | None, name: str, options: AddOptions) -> Source:
    """The labelled images at `path`; without one, the built-in dataset called `name`.

    Raises DatasetError if nothing is there, or nothing that is understood.
    """
    if path is None:
        return _read_built_in(name, options)
    if not path.exists():
        raise DatasetError(f"--from must be a file or folder that exists, got {path}")
    return _read_folder(path, options) if path.is_dir() else _read_file(path, options)


def _read_built_in(name: str, options: AddOptions) -> Source:
    if name != "digits":
        raise DatasetError(f"only the dataset 'digits' is built in, got {name!r}; say where its images are with --from PATH")
    _refuse_columns(options)
    return read_digits(options)


def _read_file(path: Path, options: AddOptions) -> Source:
    match path.suffix.lower():
        case ".parquet":
            return read_parquet(path, [path], options)
        case ".csv":
            return read_fer_csv(path, options)
    raise _not_understood(path)


def _read_folder(path: Path, options: AddOptions) -> Source:
    if parquet_files := find_parquet_files(path):
        return read_parquet(path, parquet_files, options)
    _refuse_columns(options)
    if idx_files := find_idx_files(path):
        return read_idx(path, idx_files, options)
    if has_image_folders(path):
        return read_image_folder(path, options)
    raise _not_understood(path)


def _refuse_columns(options: AddOptions) -> None:
    for flag in ("image_column", "label_column", "split_column", "group_column"):
        if getattr(options, flag) is not None:
            raise DatasetError(f"--{flag.replace('_', '-')} needs a table (parquet or CSV), and this source has no columns; leave it out")


def _not_understood(path: Path) -> DatasetError:
    return DatasetError(f"{path} is none of the sources that are understood: {LOOKED_FOR}")
