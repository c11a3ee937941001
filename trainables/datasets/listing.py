"""The datasets of one place: their names, folders and manifests."""

import json
from pathlib import Path

from trainables.datasets.manifest import Manifest
from trainables.errors import DatasetError, UnknownDatasetError
from trainables.suggestions import did_you_mean


def list_datasets(home: Path) -> tuple[Manifest, ...]:
    """Manifests of all datasets in `home`, by name; folders being written and damaged ones are left out."""
    manifests = []
    for name in dataset_names(home):
        try:
            manifests.append(read_manifest(home / name))
        except DatasetError:
            # Opening that dataset says what is wrong with it; the others stay usable.
            continue
    return tuple(manifests)


def find_dataset(home: Path, name: str) -> Path:
    """The folder of the dataset called `name`. Raises UnknownDatasetError, listing the known ones."""
    known = dataset_names(home)
    if name not in known:
        listed = (
            f"known: {', '.join(known)}"
            if known
            else f"there are none in {home} yet; add one with `study data add`"
        )
        raise UnknownDatasetError(f"unknown dataset {name!r}; {listed}{did_you_mean(name, known)}")
    return home / name


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the dataset in `folder`.

    Raises UnknownDatasetError if there is none, DatasetError if the manifest cannot be understood.
    """
    folder = find_dataset(folder.parent, folder.name)
    try:
        return Manifest.read(folder)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"damaged dataset: the manifest in {folder} cannot be read ({error}); add it again with --replace"
        ) from error


def dataset_names(home: Path) -> list[str]:
    """The datasets of a place, those that cannot be read included."""
    # A leading dot marks a folder that is being written or replaced.
    return sorted(
        path.parent.name for path in home.glob("*/manifest.json") if not path.parent.name.startswith(".")
    )
