"""Predictions of a registered version for files, some at a time; a file that is no image stops nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.connections.model_registry import registry_of
from study.home import Home
from study.registry.version_files import fetch
from study.registry.version_layout import CLASSIFIER
from study.registry.versions import Version, find_version
from trainables.errors import DatasetError
from trainables.inference.classifier import Classifier, ClassifierConfig, as_stored
from trainables.inference.ensemble import Ensemble, load_classifier

# H height, W width, C channels

IMAGES_PER_BATCH = 64
MAX_FILE_BYTES = 2**29
"""Of one image; a file of more is none."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of one image, or why it says nothing."""

    file: str
    label: str | None
    confidence: float | None
    """Probability of the label."""
    probabilities: dict[str, float] | None
    """By class, the most probable first."""
    problem: str | None


@contextmanager
def opened(home: Home, wanted: str) -> Iterator[tuple[Version, Classifier | Ensemble]]:
    """The version that a person means, and its classifier, loaded without running any code that lies with it.

    Raises UnknownModelError, MissingFilesError, or WeightsError where its weights are anything but tensors.
    """
    with registry_of(home) as client:
        version = find_version(client, wanted)
        folder = fetch(client, home, version, CLASSIFIER)
    yield version, load_classifier(folder)


def image_files(wanted: Iterable[Path], *, left_out: Path | None = None) -> list[Path]:
    """The files that are meant: each as it is named, and for a folder all files in it and below it, sorted.

    Hidden files, what a link to a folder leads to, and `left_out` are none of a folder's. A folder that has
    no file, or cannot be read, stands for itself: it becomes a prediction with a problem.
    """
    files: list[Path] = []
    for path in wanted:
        files += _files_below(path, left_out) if path.is_dir() else [path]
    return files


def _files_below(folder: Path, left_out: Path | None) -> list[Path]:
    found: list[Path] = []
    apart = None if left_out is None else left_out.absolute()

    def note(error: OSError) -> None:
        found.append(Path(error.filename))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(place, name) for name in names if not name.startswith("."))
        found.extend(file for file in files if file.absolute() != apart)
    return sorted(found) or [folder]


def predictions(classifier: Classifier | Ensemble, files: Iterable[Path]) -> Iterator[Prediction]:
    """The prediction of each file, in order; a file that is no image has a problem instead. Holds 64 small
    images at a time.
    """
    remaining = iter(files)
    while batch := list(islice(remaining, IMAGES_PER_BATCH)):
        stored = [stored_or_problem(file, classifier.config) for file in batch]
        usable = [one for one in stored if isinstance(one, np.ndarray)]
        rows = iter(classifier.probabilities_of_stored(np.stack(usable)) if usable else ())
        for file, one in zip(batch, stored, strict=True):
            yield (
                _failed(file, one)
                if isinstance(one, str)
                else _predicted(file, next(rows), classifier.config.classes)
            )


def stored_or_problem(file: Path, config: ClassifierConfig) -> NDArray[np.uint8] | str:
    """Pixels (H, W, C) as the dataset stores them, or the sentence why there are none."""
    try:
        return as_stored(_content(file), config)
    except DatasetError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _content(file: Path) -> bytes:
    if file.is_dir():
        os.scandir(file).close()  # raises where it cannot be read
        raise DatasetError("this is a folder without files")
    if file.exists() and not file.is_file():
        raise DatasetError("an image must be a file, and this is a device or a pipe")
    num_bytes = file.stat().st_size
    if num_bytes == 0:
        raise DatasetError("an image must be a file that Pillow can read, and this one is empty")
    if num_bytes > MAX_FILE_BYTES:
        raise DatasetError(f"an image may have {MAX_FILE_BYTES:,} bytes, and this one has {num_bytes:,}")
    return file.read_bytes()


def _failed(file: Path, problem: str) -> Prediction:
    return Prediction(file=str(file), label=None, confidence=None, probabilities=None, problem=problem)


def _predicted(file: Path, probabilities_K: NDArray[np.float32], classes: tuple[str, ...]) -> Prediction:
    by_class = {
        classes[index]: float(probabilities_K[index]) for index in np.argsort(-probabilities_K, kind="stable")
    }
    label = next(iter(by_class))
    return Prediction(
        file=str(file), label=label, confidence=by_class[label], probabilities=by_class, problem=None
    )
