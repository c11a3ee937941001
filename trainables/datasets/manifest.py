"""The manifest: what a stored dataset is, without opening its images."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainables.errors import RecipeError

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """Counts and identity of one split."""

    num_images: int
    num_by_class: tuple[int, ...]
    """Images of each class, in the order of `Manifest.classes`."""
    digest: str
    """SHA-256 over pixels and labels, and groups where there are some, in stored order."""
    origin: str
    """`given` by the source, or `carved` from its training split."""
    num_groups: int | None = None
    """Groups (persons, films) that its images are of; None where the dataset has no groups."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a person should know about the images before trusting a number measured on them."""

    num_duplicates_within: Mapping[str, int]
    """By split: images whose pixels repeat an earlier image of the split."""
    num_duplicates_across: Mapping[str, int]
    """By pair `train+validation`, `train+test`, `validation+test`: distinct images that stand in both."""
    num_label_conflicts: int
    """Distinct images that stand under more than one class, in any split."""
    num_groups_across: Mapping[str, int] = field(default_factory=dict)
    """By pair of splits: groups that have images in both; empty where the dataset has no groups."""
    num_widened: int = 0
    """Gray images that are stored as RGB, as others are RGB."""
    skipped: Mapping[str, int]
    """By kind of problem: images (for `empty_class`: classes) left out while reading with `--on-error
    skip`."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stored dataset is: its digest covers class names in order, sizes, and the pixels, labels and
    groups of every split.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    height: int
    """Pixels; the median where images are stored at their own sizes."""
    width: int
    channels: int
    """1 gray, 3 RGB."""
    pixel_mean: tuple[float, ...]
    """By channel, of the training split, pixels in [0, 1]."""
    pixel_std: tuple[float, ...]
    splits: Mapping[str, SplitSummary]
    """`train`, `validation`, `test`."""
    findings: Findings
    options: Mapping[str, Any]
    """How it was added: relabelling, permutation seed, split seed, resizing."""
    source: str
    licence: str | None
    added: str
    """UTC time, ISO 8601."""
    form: Literal["decoded", "encoded"] = "decoded"
    """`decoded`: pixels at one size; `encoded`: the files that the images came in, at their own sizes."""
    image_bytes: int | None = None
    """What the images take as they are stored; None for a dataset that was not added."""
    smallest: tuple[int, int] | None = None
    """Least height and least width of an image, where they are stored at their own sizes."""
    largest: tuple[int, int] | None = None
    """Greatest height and greatest width, likewise."""

    @property
    def is_encoded(self) -> bool:
        """Whether images are stored as the files that they came in."""
        return self.form == "encoded"

    @property
    def sizes(self) -> str:
        """Width and height of its images for a person: `48x48`, or `40x30 to 500x375`."""
        if self.smallest is None or self.largest is None:
            return f"{self.width}x{self.height}"
        (low, narrow), (high, wide) = self.smallest, self.largest
        return f"{narrow}x{low} to {wide}x{high}"

    def check_crop(self, smallest_crop: float | None) -> None:
        """Raises RecipeError where a recipe takes rectangles out of files that are not kept."""
        if smallest_crop is not None and not self.is_encoded:
            raise RecipeError(
                f"smallest_crop takes rectangles out of images at their own sizes, and {self.name!r} has all "
                "at one size; leave it out, or add the images with --store encoded"
            )

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def grouped_by(self) -> str | None:
        """What its images are grouped by: a column, or a pattern of file names; None where they are not."""
        if self.splits["train"].num_groups is None:
            return None
        return str(self.options.get("group_column") or self.options.get("group_pattern") or "group")

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Columns of its source whose values are stored with each image."""
        return tuple(self.options.get("keep_columns") or ())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` turns them back."""
        tree: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Manifest":
        """The manifest written by `to_dict`."""
        splits = {
            name: SplitSummary(**{**split, "num_by_class": tuple(split["num_by_class"])})
            for name, split in tree["splits"].items()
        }
        return cls(
            **{
                **tree,
                "classes": tuple(tree["classes"]),
                "pixel_mean": tuple(tree["pixel_mean"]),
                "pixel_std": tuple(tree["pixel_std"]),
                "splits": splits,
                **{key: tuple(tree[key]) for key in ("smallest", "largest") if tree.get(key)},
                "findings": Findings(**tree["findings"]),
            }
        )

    def write(self, folder: Path) -> None:
        """Puts the manifest into the dataset's folder."""
        (folder / MANIFEST_FILE).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of the dataset in `folder`. Raises FileNotFoundError where there is none."""
        return cls.from_dict(json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8")))
