"""What is wrong with a source's images: collected while reading, then refused at once or left out and
counted.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trainables.datasets.options import OnError
from trainables.datasets.pixels import MAX_PIXELS
from trainables.errors import DatasetError

MAX_NAMES = 10


class Problem(StrEnum):
    """Kinds of problems; the values are the keys of `Findings.skipped`."""

    UNREADABLE_IMAGE = "unreadable_image"
    TOO_LARGE = "too_large"
    MISSING_IMAGE = "missing_image"
    MISSING_LABEL = "missing_label"
    LABEL_OUTSIDE_CLASSES = "label_outside_classes"
    MISSING_GROUP = "missing_group"
    WRONG_SIZE = "wrong_size"
    EMPTY_CLASS = "empty_class"
    CLASS_OUTSIDE_TRAIN = "class_outside_train"


DESCRIPTIONS = {
    Problem.UNREADABLE_IMAGE: "images that cannot be read",
    Problem.TOO_LARGE: f"images of more than {MAX_PIXELS:,} pixels",
    Problem.MISSING_IMAGE: "rows without an image",
    Problem.MISSING_LABEL: "images without a label",
    Problem.LABEL_OUTSIDE_CLASSES: "images whose label is outside the class list",
    Problem.MISSING_GROUP: "images whose file name --group-pattern does not match",
    Problem.WRONG_SIZE: "images of another size than most",
    Problem.EMPTY_CLASS: "classes without images",
    Problem.CLASS_OUTSIDE_TRAIN: "images of classes that have none in train",
}


def in_words(counts: Mapping[str, int]) -> str:
    """What was left out, by kind, for a person: `images that cannot be read 5, images without a label 1`."""
    return ", ".join(f"{DESCRIPTIONS[Problem(kind)]} {count:,}" for kind, count in counts.items())


class Problems:
    """The problems met so far, by kind: how many, and the first names of each."""

    def __init__(self) -> None:
        self._counts: Counter[Problem] = Counter()
        self._names: defaultdict[Problem, list[str]] = defaultdict(list)
        self._num_unnamed: Counter[Problem] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def note(self, kind: Problem, name: str, num_images: int = 1) -> None:
        """Adds one problem; `name` is what a person would look for in the source."""
        self._counts[kind] += num_images
        if len(self._names[kind]) < MAX_NAMES:
            self._names[kind].append(name)
        else:
            self._num_unnamed[kind] += 1

    def add(self, others: "Problems") -> None:
        """Takes in the problems of images that come after those of this one."""
        self._take(others.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` turns them back."""
        return {
            kind.value: [count, self._names[kind], self._num_unnamed[kind]]
            for kind, count in self._counts.items()
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Problems":
        """The problems written by `to_dict`."""
        problems = cls()
        problems._take(tree)
        return problems

    def settle(self, on_error: OnError) -> Mapping[str, int]:
        """Counts by kind of what is left out.

        Raises DatasetError, listing every kind, if problems are to be refused.
        """
        if self._counts and on_error == "refuse":
            raise DatasetError("\n".join(["some images cannot be used:", *self._lines(), self._way_out()]))
        return {kind.value: count for kind, count in self._sorted()}

    def _take(self, tree: Mapping[str, Any]) -> None:
        for text, (count, names, num_unnamed) in tree.items():
            kind = Problem(text)
            self._counts[kind] += count
            room = MAX_NAMES - len(self._names[kind])
            self._names[kind] += names[:room]
            self._num_unnamed[kind] += num_unnamed + len(names[room:])

    def _sorted(self) -> list[tuple[Problem, int]]:
        return [(kind, self._counts[kind]) for kind in Problem if self._counts[kind]]

    def _lines(self) -> list[str]:
        return [f"  {DESCRIPTIONS[kind]}: {count} ({self._listed(kind)})" for kind, count in self._sorted()]

    def _listed(self, kind: Problem) -> str:
        more = [f"and {self._num_unnamed[kind]} more"] if self._num_unnamed[kind] else []
        return ", ".join(self._names[kind] + more)

    def _way_out(self) -> str:
        resize = (
            ", or bring all images to one size with --size PX, or keep their sizes with --store encoded"
            if Problem.WRONG_SIZE in self._counts
            else ""
        )
        return f"leave them out with --on-error skip{resize}"
