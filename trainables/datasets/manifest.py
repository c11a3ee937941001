"""The manifest: what a stored dataset is, without opening its images."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
