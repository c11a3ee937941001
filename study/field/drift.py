"""Whether images of the field are like those that a model was trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.errors import SpecError
from study.field.folder_images import FolderImages, read_folder
from study.field.sample_comparison import DriftPart, Sample, compare, describe, strangeness
from study.home import Home
from study.registry.predictions import opened
from study.registry.seen_images import dataset_folder_of
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.folds import FoldedDataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sources.source import group_of_name
from trainables.datasets.split import Split
from trainables.datasets.spooled_images import group_numbers
from trainables.inference.classifier import Classifier, ClassifierConfig, as_stored
from trainables.inference.ensemble import Ensemble
from trainables.inference.fold_models import num_folds_of, unaware_of

# N images, M images of both samples, H height, W width, C channels

MAX_IMAGES = 2000
"""Of each sample; of more, so many are drawn by chance."""
MIN_IMAGES = 20
"""Of each sample: fewer tell next to nothing."""
NUM_STRANGEST = 24
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class StrangeImage:
    """An image of the field that is far from all known ones."""

    file: str
    stranger_than: float
    """Share of the known images that lie nearer to the others of them, in [0, 1]."""
    label: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How images of the field compare with those that a version was trained on."""

    version: str
    folder: str
    num_files: int
    """In the folder."""
    num_images: int
    """That were compared."""
    num_known: int
    """Held out in training, that they were compared with."""
    num_groups: tuple[int, int] | None
    """Groups of the known and of the new images, which are the units of the test; None where single images
    are."""
    level: float
    """How often the test alarms where nothing differs, at most."""
    parts: tuple[DriftPart, ...]
    class_shares: dict[str, tuple[float, float]]
    """By class: the share of known images, and of new ones, that the model takes for it."""
    strangest: tuple[StrangeImage, ...]
    """The strangest first."""
    remarks: tuple[str, ...]
    problems: tuple[str, ...]
    """Of files that are no images."""

    @property
    def is_alarm(self) -> bool:
        """Whether the images differ in any part, beyond chance."""
        return any(part.is_beyond_chance for part in self.parts)


def find_drift(
    home: Home, wanted: str, folder: Path, *, group_pattern: str | None = None, level: float = LEVEL
) -> tuple[Drift, NDArray[np.uint8]]:
    """Compares the images in a folder with the validation split of the version's dataset; returns the pixels
    (N, H, W, C) of the strangest beside it.

    A network is surer of the images that trained it, so these would differ from any others. Of a version with
    folds they are compared with those of its first fold, by the networks that held it out. All parts together
    alarm with probability `level` at most where the images of the field come from the same source,
    independently of each other, or, with a `group_pattern` of their file names, group by group. Raises
    SpecError, UnknownModelError, MissingFilesError or DatasetError.
    """
    _check(level, group_pattern)
    with opened(home, wanted) as (version, classifier):
        model, split = _held_out(home, version.name, classifier)
    config = model.config
    images = _enough(read_folder(folder, config, MAX_IMAGES), folder)
    rows, remarks = _known_rows(split, has_groups=group_pattern is not None)
    if len(rows) < MIN_IMAGES:
        raise SpecError(
            f"a comparison needs at least {MIN_IMAGES} independent images, and the validation split has "
            f"{len(rows)}{'' if split.groups is None else ' groups'}; name the groups of the new images by "
            "--group-pattern, or give the dataset a larger validation split"
        )
    known, new = describe(model, _stored(split, rows, config)), describe(model, images.pixels_NHWC)
    units = None if group_pattern is None else _units(split, rows, images, group_pattern)
    strange_N = strangeness(known, new)
    first = np.argsort(-strange_N, kind="stable")[:NUM_STRANGEST]
    return Drift(
        version=version.name,
        folder=str(folder),
        num_files=images.num_files,
        num_images=len(new),
        num_known=len(known),
        num_groups=None
        if units is None
        else (len(np.unique(units[: len(known)])), len(np.unique(units[len(known) :]))),
        level=level,
        parts=compare(known, new, level, units),
        class_shares=_class_shares(config.classes, known, new),
        strangest=tuple(
            StrangeImage(
                file=str(images.files[row]),
                stranger_than=min(float(strange_N[row]), 1.0),
                label=config.classes[int(new.probabilities_NK[row].argmax())],
                confidence=float(new.probabilities_NK[row].max()),
            )
            for row in first.tolist()
        ),
        remarks=remarks,
        problems=images.problems,
    ), images.pixels_NHWC[first]


def _check(level: float, group_pattern: str | None) -> None:
    if not 0 < level < 1:
        raise SpecError(f"--level must lie between 0 and 1, both excluded, got {level:g}")
    AddOptions(group_pattern=group_pattern)  # raises where the pattern is none


def _enough(images: FolderImages, folder: Path) -> FolderImages:
    if len(images.files) < MIN_IMAGES:
        raise SpecError(
            f"a comparison needs at least {MIN_IMAGES} images, and {folder} has {len(images.files)} that can "
            "be read; record more"
        )
    return images


def _held_out(
    home: Home, version: str, classifier: Classifier | Ensemble
) -> tuple[Classifier | Ensemble, Split]:
    """Images that did not train what goes with them."""
    config = classifier.config
    folder = dataset_folder_of(home, config)
    if folder is None:
        raise SpecError(
            f"the images are compared with those of the dataset {config.dataset!r} "
            f"({config.dataset_digest[:12]}) that {version} was trained on, which is not here; add it: study "
            f"data add {config.dataset}"
        )
    dataset, num_folds = Dataset.open(folder), num_folds_of(classifier)
    if num_folds is None:
        return classifier, dataset.validation
    assert isinstance(classifier, Ensemble), "the networks of all folds are one model"
    return unaware_of(classifier, 0), FoldedDataset.of(dataset, num_folds).held_out(0)


def _known_rows(split: Split, *, has_groups: bool) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Which images of a split are compared with, and what a person should know of that."""
    source = np.random.default_rng(0)
    order = source.permutation(len(split))
    if split.groups is None or has_groups:
        return np.sort(order[:MAX_IMAGES]), ()
    # The groups of the new images are not known, so each must count as one of its own; so must these.
    _, first = np.unique(split.groups[order], return_index=True)
    rows = np.sort(order[first][:MAX_IMAGES])
    remark = (
        f"Images of one group are alike, and the groups of the new images are not known: one image of each "
        f"of {len(rows):,} groups was compared, and each new image counts as a group. Where several are of "
        "one person or film, name it by --group-pattern, or they alarm for being alike."
    )
    return rows, (remark,)


def _stored(split: Split, rows: NDArray[np.int64], config: ClassifierConfig) -> NDArray[np.uint8]:
    images = split.images
    if isinstance(images, EncodedImages):
        return np.stack([as_stored(images[row], config) for row in rows.tolist()])
    return images[rows]


def _units(
    split: Split, rows: NDArray[np.int64], images: FolderImages, group_pattern: str
) -> NDArray[np.int64]:
    """The groups (M,) of known and new images; no group has images of both."""
    of_known: list[str | None]
    of_known = (
        [None] * len(rows)
        if split.groups is None
        else [f"known {number}" for number in split.groups[rows].tolist()]
    )
    of_new = [group_of_name(file.name, group_pattern) for file in images.files]
    return group_numbers(
        [
            *of_known,
            *(None if group is None else f"new {group}" for group in of_new),
        ]
    )


def _class_shares(classes: tuple[str, ...], known: Sample, new: Sample) -> dict[str, tuple[float, float]]:
    shares = [
        np.bincount(one.probabilities_NK.argmax(1), minlength=len(classes)) / len(one) for one in (known, new)
    ]
    return {name: (float(shares[0][label]), float(shares[1][label])) for label, name in enumerate(classes)}
