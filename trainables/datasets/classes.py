"""Classes: merging and reordering them, and leaving out those that cannot be learned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainables.datasets.problems import Problem, Problems
from trainables.datasets.sources.source import Source, SourceImage
from trainables.datasets.spooled_images import SpooledImages
from trainables.errors import DatasetError
from trainables.printable import quoted
from trainables.suggestions import did_you_mean

MAX_NAME = 200
"""Characters of a class name: it is part of the names of metrics, of which MLflow takes 250."""


def relabelled(source: Source, relabel: Mapping[str, tuple[str, ...]] | None) -> Source:
    """The source with new classes, each made of old ones; unchanged for None.

    Where every old class is named, the new ones are in the order of `relabel`. Where some are not, these stay
    as they are, and a new class takes the place of the first that it is made of. Raises DatasetError for a
    class that the source lacks, and for one that would stand in two new classes.
    """
    _check_names(source.classes)
    if relabel is None:
        return source
    _check_names(tuple(relabel))
    _check_relabelling(source.classes, relabel)
    relabel = _with_kept_classes(source.classes, relabel)
    new_label_of_name = {old: label for label, olds in enumerate(relabel.values()) for old in olds}
    new_labels = [new_label_of_name[old] for old in source.classes]
    return replace(source, classes=tuple(relabel), images=_relabelled_images(source.images, new_labels))


def learnable(
    images: SpooledImages, classes: tuple[str, ...], problems: Problems
) -> tuple[SpooledImages, tuple[str, ...]]:
    """The images and classes left after dropping classes without a training image, which are noted as
    problems.
    """
    in_train = np.bincount(images.labels[images.splits == "train"], minlength=len(classes))
    everywhere = np.bincount(images.labels, minlength=len(classes))
    for label in np.flatnonzero(in_train == 0):
        if everywhere[label] == 0:
            problems.note(Problem.EMPTY_CLASS, classes[label])
        else:
            problems.note(
                Problem.CLASS_OUTSIDE_TRAIN, f"{classes[label]}: {everywhere[label]}", int(everywhere[label])
            )
    kept = np.flatnonzero(in_train)
    new_labels = np.cumsum(in_train > 0) - 1
    rows = images.rows(np.isin(images.labels, kept))
    return replace(rows, labels=new_labels[rows.labels]), tuple(classes[label] for label in kept)


def _check_names(classes: Sequence[str]) -> None:
    if len(set(classes)) != len(classes):
        raise DatasetError(f"class names must be distinct, got {', '.join(map(quoted, classes))}")
    for name in classes:
        if not name or len(name) > MAX_NAME or not _is_utf8(name):
            raise DatasetError(
                f"a class name has 1 to {MAX_NAME} characters of UTF-8, got {quoted(name)}; rename its "
                "folder, or write its labels anew"
            )


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _check_relabelling(classes: tuple[str, ...], relabel: Mapping[str, tuple[str, ...]]) -> None:
    mentioned = [old for olds in relabel.values() for old in olds]
    for old in mentioned:
        if old not in classes:
            raise DatasetError(
                f"--relabel: no class {old!r}; classes: {', '.join(classes)}{did_you_mean(old, classes)}"
            )
        if mentioned.count(old) > 1:
            raise DatasetError(
                f"--relabel: each class goes into exactly one new class, but {old!r} is named "
                f"{mentioned.count(old)} times"
            )
    if hollow := [new for new, olds in relabel.items() if not olds]:
        raise DatasetError(
            f"--relabel: every new class needs at least one old class, but {', '.join(hollow)} has none"
        )
    if doubled := [name for name in classes if name in relabel and name not in mentioned]:
        name = doubled[0]
        raise DatasetError(
            f"--relabel: there is a class {name!r} already; to merge it too: {name}={name},"
            f"{','.join(relabel[name])}; or choose another name for the new class"
        )


def _with_kept_classes(
    classes: tuple[str, ...], relabel: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    """The relabelling with the classes that it does not name, each as it is."""
    new_of_old = {old: new for new, olds in relabel.items() for old in olds}
    if len(new_of_old) == len(classes):
        return relabel
    names = dict.fromkeys(new_of_old.get(name, name) for name in classes)
    return {new: relabel.get(new, (new,)) for new in names}


def _relabelled_images(images: Iterator[SourceImage], new_labels: list[int]) -> Iterator[SourceImage]:
    for image in images:
        if image.label is not None and 0 <= image.label < len(new_labels):
            yield replace(image, label=new_labels[image.label])
        else:
            # There are no more new classes than old ones: a label outside the old ones stays outside.
            yield image
