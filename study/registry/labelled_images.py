"""Measuring a registered version on a person's labelled images, which are not stored."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import did_you_mean
from study.errors import SpecError
from study.evaluation.intervals import metric_intervals
from study.evaluation.scoring import class_results, num_distinct
from study.evaluation.test_result import ClassResult, Interval
from study.registry.seen_images import SeenImages
from trainables.datasets.classes import relabelled
from trainables.datasets.decoding import Content, DecodedBatch, decoded_batches
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import decoded_pixels, pixel_digest
from trainables.datasets.problems import Problems
from trainables.datasets.sources.formats import read_source
from trainables.datasets.sources.source import SourceImage
from trainables.datasets.split import SPLITS
from trainables.datasets.spooled_images import group_numbers
from trainables.errors import DatasetError
from trainables.inference.classifier import Classifier, ClassifierConfig, as_stored
from trainables.inference.ensemble import Ensemble

# N images, H height, W width, C channels, K classes

Progress = Callable[[str, int, int | None], None]
IMAGES_PER_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a version did on a person's images."""

    source: str
    num_images: int
    num_groups: int | None
    """That the images are of, and intervals are over; None where they have none."""
    num_by_split: dict[str, int]
    """Empty where the source has no splits."""
    metrics: dict[str, Interval]
    """By the names of `trainables.metrics.classification.METRICS`."""
    classes: tuple[ClassResult, ...]
    """In the model's order."""
    num_seen: int
    """Images that the model was trained or selected on."""
    unseen_metrics: dict[str, Interval] | None
    """The metrics of the others; None where none, or all, are others."""
    unknown: tuple[str, ...]
    """Reasons why the model may have seen more of them, a phrase each."""
    skipped: dict[str, int]
    """By kind of problem: images that were left out."""

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the model of which there was no image."""
        return tuple(row.name for row in self.classes if not row.num_images)


def evaluate(
    classifier: Classifier | Ensemble,
    path: Path,
    options: AddOptions,
    split: str | None,
    seen: SeenImages,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Measures the classifier on the images at `path`, whose classes must be among the model's, by name; some
    may be absent.

    What the model has `seen` is told apart. Images are read, resized to the model's size and classified some
    at a time. Raises DatasetError, or SpecError for an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise SpecError(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    source, problems = relabelled(read_source(path, path.name, options), options.relabel), Problems()
    source = replace(
        source, images=(image for image in source.images if split is None or image.split == split)
    )
    measured = _Predictions(classifier, _columns(source.classes, classifier.config.classes), source.classes)
    decode = partial(_stored_and_digest, config=classifier.config)
    for batch in decoded_batches(source, decode, problems, images_per_batch=IMAGES_PER_BATCH):
        measured.add(batch)
        progress("measuring", measured.num_read, source.num_images)
    skipped = problems.settle(options.on_error)
    if not measured.labels:
        raise DatasetError(
            f"there are no labelled images {f'of the split {split} ' if split else ''}at {path}"
        )
    probabilities_NK, labels_N = np.concatenate(measured.probabilities), np.array(measured.labels, np.int64)
    has_groups = any(group is not None for group in measured.groups)
    groups_N = group_numbers(measured.groups) if has_groups else None
    is_seen_N = np.array([digest in seen.digests for digest in measured.digests])
    return Evaluation(
        source=source.description,
        num_images=len(labels_N),
        num_by_split=dict(measured.num_by_split),
        num_groups=num_distinct(groups_N),
        num_seen=int(is_seen_N.sum()),
        unseen_metrics=None
        if is_seen_N.all() or not is_seen_N.any()
        else metric_intervals(
            probabilities_NK[~is_seen_N],
            labels_N[~is_seen_N],
            None if groups_N is None else groups_N[~is_seen_N],
        ),
        unknown=seen.unknown,
        metrics=metric_intervals(probabilities_NK, labels_N, groups_N),
        classes=class_results(probabilities_NK.argmax(1), labels_N, classifier.config.classes, groups_N),
        skipped=dict(skipped),
    )


class _Predictions:
    """What the classifier made of the images so far."""

    def __init__(
        self, classifier: Classifier | Ensemble, columns: dict[int, int], theirs: tuple[str, ...]
    ) -> None:
        self._classifier = classifier
        self._columns = columns
        self._theirs = theirs
        self.num_read = 0
        self.num_by_split: Counter[str] = Counter()
        self.probabilities: list[NDArray[np.float32]] = []
        self.labels: list[int] = []
        self.groups: list[str | None] = []
        self.digests: list[bytes] = []

    def add(self, batch: DecodedBatch[tuple[NDArray[np.uint8], bytes]]) -> None:
        """Classifies some images. Raises DatasetError for one of a class that the model does not know."""
        self.num_read += batch.num_read
        if not batch.images:
            return
        self.labels += [self._label(image) for image, _ in batch.images]
        self.groups += [image.group for image, _ in batch.images]
        self.digests += [digest for _, (_, digest) in batch.images]
        self.num_by_split.update(image.split for image, _ in batch.images if image.split is not None)
        pixels_NHWC = np.stack([pixels for _, (pixels, _) in batch.images])
        self.probabilities.append(self._classifier.probabilities_of_stored(pixels_NHWC))

    def _label(self, image: SourceImage) -> int:
        assert image.label is not None, "images without a label are left out"
        if image.label not in self._columns:
            raise _unknown_classes([self._theirs[image.label]], self._classifier.config.classes)
        return self._columns[image.label]


def _stored_and_digest(content: Content, config: ClassifierConfig) -> tuple[NDArray[np.uint8], bytes]:
    """Pixels as the model takes them, and the digest of those that its dataset would know the image by."""
    pixels = as_stored(content, config)
    is_encoded, channels = config.preprocessing.is_encoded, config.preprocessing.channels
    return pixels, pixel_digest(decoded_pixels(content, channels) if is_encoded else pixels)


def _columns(theirs: tuple[str, ...], ours: tuple[str, ...]) -> dict[int, int]:
    """The model's class numbers, by the class numbers of the images; unknown classes are left out.

    Raises DatasetError where it knows none of them; an unknown one among others is refused once an image of
    it comes.
    """
    columns = {label: ours.index(name) for label, name in enumerate(theirs) if name in ours}
    if not columns:
        raise _unknown_classes(theirs, ours)
    return columns


def _unknown_classes(unknown: tuple[str, ...] | list[str], ours: tuple[str, ...]) -> DatasetError:
    listed = ", ".join(map(repr, unknown[:5])) + (" …" if len(unknown) > 5 else "")
    return DatasetError(
        f"the model knows no class {listed}; it knows {', '.join(ours)}{did_you_mean(unknown[0], ours)}; "
        "give the images its names with --classes (for numbers) or --relabel NEW=OLD,OLD"
    )
