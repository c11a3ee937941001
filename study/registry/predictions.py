"""Predictions of a registered version for files, some at a time; a file that is no image stops nothing."""

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
from trainables.inference.classifier import Classifier, as_stored
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


def predictions(classifier: Classifier | Ensemble, files: Iterable[Path]) -> Iterator[Prediction]:
    """The prediction of each file, in order; a file that is no image has a problem instead. Holds 64 small
    images at a time.
    """
    remaining = iter(files)
    while batch := list(islice(remaining, IMAGES_PER_BATCH)):
        stored = [_stored(file, classifier) for file in batch]
        usable = [one for one in stored if isinstance(one, np.ndarray)]
        rows = iter(classifier.probabilities_of_stored(np.stack(usable)) if usable else ())
        for file, one in zip(batch, stored, strict=True):
            yield (
                _failed(file, one)
                if isinstance(one, str)
                else _predicted(file, next(rows), classifier.config.classes)
            )


def _stored(file: Path, classifier: Classifier | Ensemble) -> NDArray[np.uint8] | str:
    """Pixels (H, W, C) as the dataset stores them, or the sentence why there are none."""
    try:
        return as_stored(_content(file), classifier.config)
    except DatasetError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _content(file: Path) -> bytes:
    if file.is_dir():
        raise DatasetError("an image must be a file, and this is a folder")
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
