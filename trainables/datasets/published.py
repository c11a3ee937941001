"""Datasets in an object store: pushed there once, fetched by whoever needs them, and checked by their
digests.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainables.datasets.arrow_files import split_digest
from trainables.datasets.dataset import open_split
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.datasets.manifest import MANIFEST_FILE, Manifest
from trainables.datasets.split import SPLITS
from trainables.datasets.staging import staged_folder
from trainables.errors import DatasetError

PUBLISHED_FILE = "published.json"
"""In a stored dataset's folder: where the same bytes are published."""


def is_published(dataset: str) -> bool:
    """Whether a study names its dataset by an address such as s3://bucket/folder/NAME."""
    return dataset.startswith("s3://")


def push_dataset(home: Path, name: str, address: str) -> str:
    """Copies the dataset `home/name` to `address/name` and returns that address; one that is there already
    stays.

    The manifest comes last, as the sign that all is there. Raises DatasetError if another dataset has that
    address.
    """
    folder, target = find_dataset(home, name), f"{address.rstrip('/')}/{name}"
    manifest = read_manifest(folder)
    with _store(target) as (store, path):
        there = _read_manifest(store, path)
        if there is not None and there.digest != manifest.digest:
            raise DatasetError(
                f"{target} holds another dataset {name!r} (digest {there.digest[:12]}, not "
                f"{manifest.digest[:12]}); push to another address"
            )
        if there is None:
            for file in (*_files(SPLITS), MANIFEST_FILE):
                with (folder / file).open("rb") as source, store.open_output_stream(f"{path}/{file}") as copy:
                    shutil.copyfileobj(source, copy, 2**22)
    _note(folder, target)
    return target


def check_can_push(name: str, address: str) -> None:
    """Raises DatasetError if nothing can be published at `address/name`, as far as reading there tells.

    Writing there would tell more, and leave something: Arrow replaces the last file of a folder by a marker.
    """
    from pyarrow.fs import FileType

    with _store(f"{address.rstrip('/')}/{name}") as (store, path):
        _read_manifest(store, path)
        bucket = path.split("/", 1)[0]
        with suppress(OSError):  # an account that may write objects need not be allowed to look at buckets
            if store.get_file_info(bucket).type == FileType.NotFound:
                raise DatasetError(
                    f"there is no bucket {bucket!r} to publish in; make it, or name another one"
                )


def push_added(home: Path, name: str, address: str) -> str:
    """`push_dataset` of a dataset that was just added, which its errors say."""
    try:
        return push_dataset(home, name, address)
    except DatasetError as error:
        raise DatasetError(
            f"{name} is added, but not published: {error}; then: study data push {name} {address}"
        ) from error


def fetch_dataset(address: str, home: Path) -> Path:
    """The folder in `home` that holds the whole dataset published at `address`, fetched unless it is there.

    Raises DatasetError if it cannot be had, is damaged, or if `home` has another dataset of that name.
    """
    name = address.rsplit("/", 1)[1]
    manifest = _published_manifest(address)
    if (home / name / MANIFEST_FILE).exists():
        here = read_manifest(home / name)
        if here.digest != manifest.digest:
            raise DatasetError(
                f"{home / name} is another dataset than {address} (digest {here.digest[:12]}, not "
                f"{manifest.digest[:12]}); "
                "name the one that is meant, or publish it under another name"
            )
    else:
        with staged_folder(home, name, replace=False) as folder:
            fetch_splits(address, folder, manifest.digest, SPLITS)
    _note(home / name, address)
    return home / name


def fetch_splits(address: str, folder: Path, digest: str, splits: Iterable[str]) -> None:
    """Copies the manifest and some splits of a published dataset into an empty folder, and checks every byte
    by the digests.

    Raises DatasetError if the dataset there is not the one with `digest`, or is damaged.
    """
    manifest = _published_manifest(address)
    if manifest.digest != digest:
        raise DatasetError(
            f"{address} was replaced: its digest is {manifest.digest[:12]}, the study began with "
            f"{digest[:12]}; push the old one"
        )
    with _store(address) as (store, path):
        for file in _files(splits):
            with store.open_input_stream(f"{path}/{file}") as source, (folder / file).open("wb") as copy:
                shutil.copyfileobj(source, copy, 2**22)
    for name in splits:
        found = split_digest(open_split(folder, manifest, name))
        if found != manifest.splits[name].digest:
            raise DatasetError(
                f"{address}/{name}.arrow is damaged: its digest is {found[:12]}, the manifest says "
                f"{manifest.splits[name].digest[:12]}; "
                "delete it there and push the dataset again"
            )
    manifest.write(folder)


def published_address(folder: Path) -> str | None:
    """Where the dataset in `folder` is published, if it is."""
    file = folder / PUBLISHED_FILE
    return json.loads(file.read_text(encoding="utf-8"))["address"] if file.exists() else None


def _note(folder: Path, address: str) -> None:
    (folder / PUBLISHED_FILE).write_text(json.dumps({"address": address}) + "\n", encoding="utf-8")


def _files(splits: Iterable[str]) -> list[str]:
    return [f"{name}.arrow" for name in splits]


def _published_manifest(address: str) -> Manifest:
    with _store(address) as (store, path):
        manifest = _read_manifest(store, path)
    if manifest is None:
        raise DatasetError(
            f"there is no dataset at {address}; publish one: study data push NAME {address.rsplit('/', 1)[0]}"
        )
    return manifest


def _read_manifest(store: Any, path: str) -> Manifest | None:
    try:
        with store.open_input_stream(f"{path}/{MANIFEST_FILE}") as stream:
            return Manifest.from_dict(json.loads(stream.read()))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"the manifest at {path} cannot be read ({type(error).__name__}: {error}); push the dataset again"
        ) from error


@contextmanager
def _store(address: str) -> Iterator[tuple[Any, str]]:
    """The object store and the path in it. Inside, what the store refuses is a DatasetError."""
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise DatasetError(f"datasets are published at s3://BUCKET/FOLDER, got {address!r}")
    from pyarrow import fs

    try:
        yield fs.S3FileSystem(**_endpoint()), f"{parts.netloc}{parts.path}"
    except OSError as error:
        said = str(error).strip().splitlines()[0]
        raise DatasetError(
            f"{address} cannot be used ({said}); check its name, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for a "
            "store that is not Amazon's"
        ) from error


def _endpoint() -> dict[str, str]:
    """Arrow's words for the address of a store that is not Amazon's, under the names that others use for
    it.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL"):
        if told := os.environ.get(name):
            parts = urlsplit(told)
            return {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    return {}
