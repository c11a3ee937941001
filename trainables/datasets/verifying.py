"""Whether the files of a stored dataset still are what its manifest says: every pixel is read again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.datasets.arrow_files import split_digest
from trainables.datasets.dataset import open_split
from trainables.datasets.forms import Form
from trainables.datasets.listing import read_manifest
from trainables.datasets.manifest import SplitSummary
from trainables.datasets.split import SPLITS
from trainables.errors import DatasetError


def check_files(folder: Path) -> None:
    """Raises DatasetError where a file of the dataset in `folder` does not fit its digest.

    It takes about a second for a gigabyte. Nothing is measured on the test split, so it is no opening.
    """
    manifest = read_manifest(folder)
    for name in SPLITS:
        found, expected = split_digest(open_split(folder, manifest, name)), manifest.splits[name].digest
        if found != expected:
            raise DatasetError(
                f"damaged dataset: {folder / name}.arrow has the digest {found[:12]}, its manifest says "
                f"{expected[:12]}; add it again with --replace"
            )
    shape = (manifest.height, manifest.width, manifest.channels)
    digest = dataset_digest(manifest.classes, shape, manifest.splits, manifest.form)
    if digest != manifest.digest:
        raise DatasetError(
            f"damaged dataset: the manifest in {folder} was changed: its digest is {manifest.digest[:12]}, "
            f"and its content has {digest[:12]}; add it again with --replace"
        )


def dataset_digest(
    classes: Sequence[str], shape: tuple[int, ...], splits: Mapping[str, SplitSummary], form: Form
) -> str:
    """The digest of a dataset: SHA-256 over its classes in order, (H, W, C), and the splits' digests; encoded
    images have no one size, so that the form and C stand in its place.
    """
    content = {
        "classes": classes,
        "shape": shape if form == "decoded" else (form, shape[2]),
        "splits": {name: split.digest for name, split in splits.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
