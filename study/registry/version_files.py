"""The files of a registered version: on this machine's disk, in a moved STUDY_HOME, or over the network."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from study.connections.mlflow_client import addressed_to
from study.connections.model_registry import registry_of
from study.errors import MissingFilesError, SpecError, StudyError
from study.home import Home
from study.registry.version_layout import CLASSIFIER
from study.registry.versions import Version, find_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

WEIGHTS_FILE = "weights.pt"
"""As `trainables.inference.classifier` names it; not imported from there, which would import torch."""


def fetch(client: "MlflowClient", home: Home, version: Version, part: str) -> Path:
    """The file or folder `part` (`study.registry.version_layout`) of a version on this machine; do not change
    it.

    Raises MissingFilesError where it is not to be had.
    """
    location = client.get_model_version_download_uri(version.model, str(version.number))
    folder = _local_folder(location)
    if folder is None:
        return _downloaded(home, version, part)
    for place in (folder, *_moved(folder, home)):
        if (place / "artifacts" / part).exists():
            return place / "artifacts" / part
    if folder.exists():
        raise MissingFilesError(
            f"{version.name} holds no {part}; it was not registered by a study, or somebody deleted that"
        )
    raise MissingFilesError(
        f"the files of {version.name} are neither at {folder} nor below {home.artifacts}; if its STUDY_HOME "
        "was moved, "
        "bring the folder artifacts/ along; if it was made on another machine, use that one, or an MLflow "
        "server"
    )


def fetch_weights(model: str, home: Home) -> Path:
    """The weights of a registered model, copied into STUDY_HOME, where a cluster sees them.

    `model` is `models:/NAME/VERSION` or `models:/NAME@ALIAS`. Of an ensemble, those of its first member.
    Raises SpecError if there is no such model, or if no study registered it.
    """
    try:
        with registry_of(home) as client:
            version = find_version(client, model)
            folder = fetch(client, home, version, CLASSIFIER)
    except StudyError as error:
        raise SpecError(f"weights {model!r} cannot be had: {error}") from error
    found = min(folder.rglob(WEIGHTS_FILE), default=None)
    if found is None:
        raise SpecError(
            f"weights {model!r} must be a model that a study registered; this one holds no {WEIGHTS_FILE}"
        )
    target = _cached(home, version) / WEIGHTS_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(found, target))


def has_files(client: "MlflowClient", home: Home, version: Version) -> bool:
    """Whether the version's files are on this machine's disk; files on a server are taken to be there."""
    folder = _local_folder(client.get_model_version_download_uri(version.model, str(version.number)))
    return folder is None or any(place.exists() for place in (folder, *_moved(folder, home)))


def _local_folder(location: str) -> Path | None:
    """The folder that an address names; None for one that is not on this machine's disk."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def _moved(folder: Path, home: Home) -> tuple[Path, ...]:
    """Places of a folder whose STUDY_HOME was moved: MLflow keeps absolute addresses."""
    ends = [
        folder.parts[index + 1 :] for index, part in enumerate(folder.parts) if part == home.artifacts.name
    ]
    return tuple(home.artifacts.joinpath(*end) for end in ends if end)


def _downloaded(home: Home, version: Version, part: str) -> Path:
    """A copy, which is kept: the files of a version never change."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    target = _cached(home, version) / part
    if target.exists():
        target.parent.touch()  # `study gc` takes those that nobody used for long
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.fetched_models) as unfinished:
        try:
            with addressed_to(home.tracking_uri):
                found = Path(
                    mlflow.artifacts.download_artifacts(
                        f"models:/{version.name}/artifacts/{part}", dst_path=unfinished
                    )
                )
        except (MlflowException, OSError) as error:
            raise MissingFilesError(f"{part} of {version.name} cannot be fetched: {error}") from error
        if not found.exists() or (found.is_dir() and not any(found.iterdir())):
            raise MissingFilesError(
                f"{version.name} holds no {part}; it was not registered by a study, or somebody deleted that"
            )
        if not target.exists():
            found.rename(target)
    return target


def _cached(home: Home, version: Version) -> Path:
    """A folder of its own for each version: the last part of its source is unique, also in a new database."""
    return (
        home.fetched_models
        / f"{version.model}-{version.number}-{version.source.rstrip('/').rpartition('/')[2]}"
    )
