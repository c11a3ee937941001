"""A stored dataset, opened: training and validation images, memory-mapped.

The test split is sealed: see `sealed_test.py`.
"""

from dataclasses import dataclass
from pathlib import Path

from trainables.datasets.arrow_files import map_split
from trainables.datasets.listing import read_manifest
from trainables.datasets.manifest import Manifest
from trainables.datasets.split import Split
from trainables.errors import DatasetError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a training may see of a dataset: its manifest, its training and its validation split."""

    manifest: Manifest
    train: Split
    validation: Split
    folder: Path | None = None
    """Where it lies; None for one that was made in memory."""

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Maps the dataset in `folder` (some milliseconds, no copy; processes of one machine share the
        pages).

        Raises UnknownDatasetError if there is none, DatasetError if a file is damaged.
        """
        manifest = read_manifest(folder)
        train, validation = open_split(folder, manifest, "train"), open_split(folder, manifest, "validation")
        return cls(manifest=manifest, train=train, validation=validation, folder=folder)


def open_split(folder: Path, manifest: Manifest, name: str) -> Split:
    """Maps one split of the dataset in `folder`.

    Raises DatasetError if its file does not fit the manifest.
    """
    path = folder / f"{name}.arrow"
    split = map_split(
        path, manifest.height, manifest.width, manifest.channels, is_encoded=manifest.is_encoded
    )
    expected = manifest.splits[name].num_images
    if len(split) != expected:
        raise DatasetError(
            f"damaged dataset: {path} holds {len(split)} images, its manifest says {expected}; add it again "
            "with --replace"
        )
    return split
