"""What a format of sources is, and the shape that all are read into."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.options import AddOptions
from trainables.errors import DatasetError
from trainables.printable import cut, printable

MAX_NUMBERED_CLASSES = 10_000
MAX_KEPT = 200
"""Characters of a kept value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceImage:
    """One labelled image that has not been decoded yet."""

    name: str
    """What a person would look for in the source: a path, a row."""
    load: Callable[[], bytes | NDArray[np.uint8]] | None
    """Gives the encoded image, or its pixels (H, W) or (H, W, 3); may raise. None where the source has no
    image."""
    label: int | None
    """Index into the source's classes, possibly outside of them; None where the source has no label."""
    split: str | None = None
    """`train`, `validation` or `test`; None if the source has no splits."""
    group: str | None = None
    """Images of equal group must not be torn apart by carving; None belongs to no group."""
    kept: tuple[str | None, ...] = ()
    """Values of the columns that the options keep, in their order; None where the row has none."""

    def __post_init__(self) -> None:
        # Names of files and rows are shown and stored, whatever bytes they have.
        object.__setattr__(self, "name", printable(self.name))
        if self.kept:
            kept = tuple(None if value is None else cut(printable(value), MAX_KEPT) for value in self.kept)
            object.__setattr__(self, "kept", kept)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Labelled images to be added, in order."""

    description: str
    """Where they come from, for the manifest."""
    classes: tuple[str, ...]
    images: Iterator[SourceImage]
    """Can be read once; large sources are streamed."""
    num_images: int | None = None
    """None if only reading to the end would tell."""
    needs_groups: bool = False
    """Whether an image without a group is a problem."""
    carved_fraction: float = 0.1
    """Share of the training images that a carved split gets, unless the options say otherwise."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format that people keep labelled images in."""

    looks_like: str
    """What a message says a person may give: `a .parquet file or a folder with some`."""
    has_columns: bool
    """Whether its images, labels, splits and groups stand in columns that options may name."""
    has_file_names: bool = False
    """Whether its images are files, whose names a pattern of groups may read."""
    is_at: Callable[[Path], bool]
    """Whether a file or folder that exists is of the format. May raise DatasetError for one that is
    nearly."""
    read: Callable[[Path, AddOptions], Source]


def numbered_classes(labels: NDArray[np.int64], options: AddOptions) -> tuple[str, ...]:
    """Names of classes that the source knows by number only: those of the options, else `0` to the largest
    number.
    """
    if options.classes is not None:
        return options.classes
    num_classes = int(labels.max(initial=-1)) + 1
    if num_classes > MAX_NUMBERED_CLASSES:
        raise DatasetError(
            f"labels without class names must be below {MAX_NUMBERED_CLASSES}, got {num_classes - 1}; is it "
            "the label column?"
        )
    return tuple(str(number) for number in range(num_classes))


def group_of_name(name: str, pattern: str) -> str | None:
    """What the only group of a regular expression finds in a file's name, without its folders; None where
    it finds nothing.
    """
    found = re.search(pattern, PurePath(name).name)
    return found[1] if found else None


def refuse_class_names(options: AddOptions, classes: tuple[str, ...]) -> None:
    """Raises DatasetError if class names are given for a source that has its own."""
    if options.classes is not None and options.classes != classes:
        raise DatasetError(
            "--classes names classes that are numbers, but this source has names of its own: "
            f"{', '.join(classes)}; "
            "leave --classes out, or rename and reorder with --relabel"
        )
