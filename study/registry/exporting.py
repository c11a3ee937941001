"""A registered version as one file, in a form that others run, checked against the version itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.errors import SpecError
from study.evaluation.paired_tests import paired_p_value
from study.evaluation.test_result import Interval
from study.evaluation.wilson import share_of
from study.home import Home
from study.registry.predictions import opened
from study.registry.seen_images import dataset_folder_of
from trainables.atomic import atomic_file
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.split import Split
from trainables.errors import ExportError
from trainables.inference.classifier import Classifier, ClassifierConfig, as_stored
from trainables.inference.ensemble import Ensemble
from trainables.inference.export import (
    TOLERANCE,
    Format,
    Runner,
    check_onnx,
    largest_difference,
    runner,
    write_program,
)
from trainables.inference.int8 import check_int8, quantise
from trainables.inference.latency import median_seconds
from trainables.inference.program import Program, as_exported, contents, random_images
from trainables.printable import quoted

# N images, H height, W width, C channels

NUM_CHECKED = 200
"""Images on which the file is compared with the version."""
NUM_CALIBRATING = 256
"""Training images that show the ranges of activations for --int8."""
MAX_MEASURED = 1000
"""Images of the validation split on which the accuracy of --int8 is measured."""
IMAGES_AT_ONCE = 64
_SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}


@dataclass(frozen=True, kw_only=True)
class Int8Loss:
    """What 8-bit integers cost, on images of the validation split."""

    num_images: int
    num_groups: int | None
    """That these are of; None where they have none."""
    registered: Interval
    """Accuracy of the registered version."""
    exported: Interval
    """Accuracy of the file."""
    p_value: float
    """How likely so uneven a pair is where neither is better (`study.evaluation.paired_tests`)."""
    num_calibrating: int
    """Training images that showed the ranges of activations."""

    @property
    def points_lost(self) -> float:
        """Percentage points of accuracy, below 0 for a gain."""
        return 100 * (self.registered.value - self.exported.value)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written, and how it compares with the version."""

    version: str
    file: str
    form: Format
    num_bytes: int
    contents: str
    """What it takes and returns."""
    num_checked: int
    checked_on: str
    """Which images it was compared on."""
    largest_difference: float
    """Of any probability on these."""
    latency_ms: tuple[float, float]
    """To classify one image on this machine's CPU: the version, the file."""
    int8: Int8Loss | None
    """None without --int8."""


def export_version(home: Home, wanted: str, output: Path, form: Format, *, is_int8: bool = False) -> Exported:
    """Writes the version that a person names as one program into `output`.

    Probabilities of 200 images differ from those of the version by at most 1e-4; otherwise nothing is
    written. With `is_int8` they differ more, and the accuracy of both is measured. Raises ExportError,
    SpecError, UnknownModelError or MissingFilesError.
    """
    _check_writable(output, form)
    if form == "onnx":
        check_onnx()
    if is_int8:
        check_int8()
    with opened(home, wanted) as (version, loaded):
        classifier = as_exported(loaded)
    config, folder = classifier.config, dataset_folder_of(home, classifier.config)
    dataset = None if folder is None else Dataset.open(folder)
    program = Program(classifier)
    if is_int8:
        quantise(program, _calibrating(version.name, config, dataset))
    checked_NHWC, checked_on = _checked_images(classifier, dataset)
    with atomic_file(output) as unfinished:
        write_program(program, classifier, unfinished, form)
        run = runner(unfinished, form)
        registered_NK = classifier.probabilities_of_stored(checked_NHWC)
        difference = largest_difference(_run_all(run, checked_NHWC), registered_NK)
        if not is_int8 and not difference <= TOLERANCE:
            raise ExportError(
                f"a file must give the probabilities of {version.name} to {TOLERANCE:g}, and this one "
                f"differs by up to {difference:.2g} on {len(checked_NHWC)} {checked_on}; nothing was written"
            )
        one_NHWC = checked_NHWC[:1]
        return Exported(
            version=version.name,
            file=str(output),
            form=form,
            num_bytes=unfinished.stat().st_size,
            contents=contents(classifier),
            num_checked=len(checked_NHWC),
            checked_on=checked_on,
            largest_difference=difference,
            latency_ms=(
                median_seconds(lambda: classifier.probabilities_of_stored(one_NHWC)) * 1e3,
                median_seconds(lambda: run(one_NHWC)) * 1e3,
            ),
            int8=_loss(classifier.probabilities_of_stored, run, config, dataset) if is_int8 else None,
        )


def _check_writable(output: Path, form: Format) -> None:
    if output.suffix != _SUFFIXES[form]:
        raise SpecError(
            f"--output must end in {_SUFFIXES[form]} for --format {form}, got {quoted(str(output))}"
        )
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise SpecError(
            f"--output must name a file in a folder that exists, got {quoted(str(output))}; make the folder "
            "first"
        )


def _calibrating(version: str, config: ClassifierConfig, dataset: Dataset | None) -> NDArray[np.uint8]:
    if dataset is None:
        raise SpecError(
            f"--int8 measures on the images of {config.dataset!r} that {version} was trained on "
            f"({config.dataset_digest[:12]}), and they are not here; add them first: study data add "
            f"{config.dataset}"
        )
    return _stored(dataset.train, _some(len(dataset.train), NUM_CALIBRATING), config)


def _checked_images(
    classifier: Classifier | Ensemble, dataset: Dataset | None
) -> tuple[NDArray[np.uint8], str]:
    """Images, and what they are."""
    config = classifier.config
    if dataset is None:
        return (
            random_images(classifier, NUM_CHECKED),
            f"images of random pixels, as the dataset {config.dataset} ({config.dataset_digest[:12]}) is not "
            "here",
        )
    split = dataset.validation
    return (
        _stored(split, _some(len(split), NUM_CHECKED), config),
        f"images of the validation split of {dataset.manifest.name}",
    )


def _some(num_images: int, most: int) -> NDArray[np.int64]:
    """Row numbers of so many images at most, by chance, the same each time."""
    return np.sort(np.random.default_rng(0).permutation(num_images)[:most])


def _stored(split: Split, rows: NDArray[np.int64], config: ClassifierConfig) -> NDArray[np.uint8]:
    """Pixels (N, H, W, C) as a program takes them."""
    images = split.images
    if isinstance(images, EncodedImages):
        return np.stack([as_stored(images[row], config) for row in rows.tolist()])
    return images[rows]


def _run_all(run: Runner, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    starts = range(0, len(images_NHWC), IMAGES_AT_ONCE)
    return np.concatenate([run(images_NHWC[start : start + IMAGES_AT_ONCE]) for start in starts])


def _loss(
    registered: Runner, exported: Runner, config: ClassifierConfig, dataset: Dataset | None
) -> Int8Loss:
    assert dataset is not None, "the images that calibrated it are here"
    split = dataset.validation
    rows = _some(len(split), MAX_MEASURED)
    labels_N, groups_N = split.labels[rows], None if split.groups is None else split.groups[rows]
    starts = range(0, len(rows), IMAGES_AT_ONCE)
    parts = [_stored(split, rows[start : start + IMAGES_AT_ONCE], config) for start in starts]
    was_right_N, is_right_N = (
        np.concatenate([run(part).argmax(1) for part in parts]) == labels_N for run in (registered, exported)
    )
    return Int8Loss(
        num_images=len(rows),
        num_groups=None if groups_N is None else len(np.unique(groups_N)),
        registered=share_of(was_right_N, groups_N),
        exported=share_of(is_right_N, groups_N),
        p_value=paired_p_value(was_right_N, is_right_N, groups_N),
        num_calibrating=min(NUM_CALIBRATING, len(dataset.train)),
    )
