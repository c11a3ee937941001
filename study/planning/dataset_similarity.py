"""Similarity of datasets, by what matters to hyperparameters: classes, images, channels, size, balance."""

import json
import math
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from trainables.datasets.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class DatasetTraits:
    """What datasets are compared by; MLflow keeps it with every study."""

    name: str
    digest: str
    num_classes: int
    num_images: int
    """Of the training split."""
    channels: int
    """1 gray, 3 RGB."""
    side_pixels: float
    """Of a square with as many pixels as an image has."""
    balance: float
    """Entropy of the classes' shares of the training images, divided by that of equal shares; in [0, 1]."""

    @classmethod
    def of(cls, manifest: Manifest) -> "DatasetTraits":
        """The traits of a stored dataset."""
        train = manifest.splits["train"]
        return cls(
            name=manifest.name,
            digest=manifest.digest,
            num_classes=manifest.num_classes,
            num_images=train.num_images,
            channels=manifest.channels,
            side_pixels=round(math.sqrt(manifest.height * manifest.width), 2),
            balance=round(_balance(train.num_by_class), 4),
        )

    @classmethod
    def read(cls, text: str) -> "DatasetTraits":
        """The traits that `to_json` wrote. Raises ValueError for any other text."""
        return TypeAdapter(cls).validate_json(text)

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    def distance(self, other: "DatasetTraits") -> float:
        """|log10 of the ratio of classes| + |log10 of the ratio of images| + |log4 of the ratio of sides| +
        |difference in balance| + 1 where only one of them is gray.

        So each of these is 1: ten times as many classes, or images, a side four times as long, one class
        alone in place of equal shares, colour in place of gray. It is 0 for equal traits, symmetric, and
        never more by a detour.
        """
        return (
            abs(math.log10(self.num_classes / other.num_classes))
            + abs(math.log10(self.num_images / other.num_images))
            + abs(math.log(self.side_pixels / other.side_pixels, 4))
            + abs(self.balance - other.balance)
            + (self.channels != other.channels)
        )

    def similarity(self, other: "DatasetTraits") -> float:
        """1 / (1 + distance): in (0, 1], and 1 for equal traits."""
        return 1 / (1 + self.distance(other))


def _balance(num_by_class: tuple[int, ...]) -> float:
    shares = [number / sum(num_by_class) for number in num_by_class if number]
    if len(num_by_class) < 2:
        return 1.0
    return -sum(share * math.log(share) for share in shares) / math.log(len(num_by_class))
