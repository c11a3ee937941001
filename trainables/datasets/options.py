"""How a dataset is to be added: what the command line's flags become."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from trainables.errors import DatasetError

OnError = Literal["refuse", "skip"]
Store = Literal["auto", "decoded", "encoded"]

MAX_SEED = 2**32 - 1
MAX_SIZE = 1024
"""Side in pixels; no recipe shows a network larger images."""


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """How to read, change and split the images of a source. Raises DatasetError on values that cannot be."""

    image_size: int | None = None
    """Side in pixels, 1 to 1024: the shorter side is scaled to it with antialiasing, then the centre is
    cropped. None keeps sizes."""
    channels: int | None = None
    """1 gray or 3 RGB; None is 1 if every image is gray, else 3."""
    store: Store = "auto"
    """`decoded`: pixels, all images at one size. `encoded`: the files as they are, at their own sizes. `auto`
    is encoded for images of several sizes that are smaller so, and decoded otherwise."""
    classes: tuple[str, ...] | None = None
    """Class names in order, for sources whose labels are numbers without names."""
    validation_fraction: float | None = None
    """Share of the training images carved for validation where the source has none, in (0, 1); None is the
    source's usual share."""
    test_fraction: float | None = None
    """Share of the training images carved for test where the source has none, in (0, 1); None is the source's
    usual share."""
    split_seed: int = 0
    """Seed of the carving, in [0, 2**32)."""
    group_column: str | None = None
    """Column whose equal values (a person, a patient) must not be torn apart by carving."""
    group_pattern: str | None = None
    """Regular expression with one group, which finds an image's group in the name of its file, such as
    `^(S\\d+)_`."""
    keep_columns: tuple[str, ...] = ()
    """Columns of a table whose values are stored with each image, such as an age or a source; they take no
    part in what the dataset is, so its digest is the same with them or without."""
    image_column: str | None = None
    """Column of the images; None looks for the usual names."""
    label_column: str | None = None
    """Column of the labels; None looks for the usual names."""
    split_column: str | None = None
    """Column of the splits; None takes them from the names of files and folders, or from `Usage` in a CSV of
    FER2013."""
    relabel: Mapping[str, tuple[str, ...]] | None = None
    """New class to old classes; each old class stands in one new class at most. Where all are named, the new
    order is that of the mapping; a class that is not named stays as it is, in its place."""
    permute_seed: int | None = None
    """Seed, in [0, 2**32), of one permutation of the pixel positions applied to every image; channels move
    together."""
    on_error: OnError = "refuse"
    """What happens to images that cannot be used: refuse the whole source, or leave them out and count
    them."""
    follow_links: bool = False
    """Whether symbolic links in an image folder may lead out of it."""
    with_dataset: str | None = None
    """A stored dataset whose images the new ones are added to; these keep their splits."""
    licence: str | None = None
    """What the images may be used for."""
    replace: bool = False
    """Whether a dataset of the same name is replaced."""

    def __post_init__(self) -> None:
        _require(
            self.image_size is None or 1 <= self.image_size <= MAX_SIZE,
            f"--size must be from 1 to {MAX_SIZE} pixels, got {self.image_size}",
        )
        _require(
            self.channels in (None, 1, 3), f"--channels must be 1 (gray) or 3 (RGB), got {self.channels}"
        )
        _require(
            self.store in get_args(Store),
            f"--store must be {', '.join(get_args(Store))}, got {self.store!r}",
        )
        for flag, change in (("--size", self.image_size), ("--permute-seed", self.permute_seed)):
            _require(
                self.store != "encoded" or change is None,
                f"--store encoded keeps the files as they are, and {flag} changes them; leave one out",
            )
        _check_group_pattern(self.group_pattern, self.group_column)
        _require(
            len(set(self.keep_columns)) == len(self.keep_columns) and "" not in self.keep_columns,
            f"--keep-column names each column once, got {', '.join(self.keep_columns) or repr('')}",
        )
        _require(
            self.on_error in get_args(OnError),
            f"--on-error must be {' or '.join(get_args(OnError))}, got {self.on_error!r}",
        )
        _require(
            self.classes is None or len(set(self.classes)) == len(self.classes),
            f"--classes must be distinct, got {self.classes}",
        )
        for flag, seed in (("--split-seed", self.split_seed), ("--permute-seed", self.permute_seed)):
            _require(
                seed is None or 0 <= seed <= MAX_SEED, f"{flag} must be from 0 to {MAX_SEED}, got {seed}"
            )
        for flag, fraction in (
            ("--validation-fraction", self.validation_fraction),
            ("--test-fraction", self.test_fraction),
        ):
            _require(
                fraction is None or 0 < fraction < 1,
                f"{flag} must lie between 0 and 1, both excluded, got {fraction}",
            )

    def with_fractions(self, usual: float) -> "AddOptions":
        """The same options with the source's usual share where none is given."""
        return replace(
            self,
            validation_fraction=usual if self.validation_fraction is None else self.validation_fraction,
            test_fraction=usual if self.test_fraction is None else self.test_fraction,
        )

    def to_dict(self) -> dict[str, Any]:
        """What shaped the images, as plain JSON values for the manifest; the licence has its own field
        there.
        """
        shaping = {key: value for key, value in asdict(self).items() if key not in ("licence", "replace")}
        tree: dict[str, Any] = json.loads(json.dumps(shaping))
        return tree


def _check_group_pattern(pattern: str | None, column: str | None) -> None:
    if pattern is None:
        return
    _require(column is None, "groups come from --group-column or from --group-pattern, not from both")
    try:
        num_groups = re.compile(pattern).groups
    except re.error as error:
        raise DatasetError(
            f"--group-pattern must be a regular expression such as '^(S\\d+)_', got {pattern!r}: {error}"
        ) from error
    _require(
        num_groups == 1,
        f"--group-pattern must have one group in brackets, such as '^(S\\d+)_', got {pattern!r} with "
        f"{num_groups}; brackets that find nothing are written (?:...)",
    )


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise DatasetError(rule)
