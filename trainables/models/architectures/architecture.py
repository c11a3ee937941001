"""What can be said of a network before it is built, without importing torch."""

from dataclasses import dataclass
from typing import Protocol


class Shape(Protocol):
    """Layer widths and depths of a network."""

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network that a recipe may ask for by name."""

    name: str
    builder: str
    """Dotted name of the module whose function `build` makes the network (`trainables.models.building`); it
    imports torch."""
    num_stages: int
    """Stretches of layers between the input and the head: what `freeze_depth` counts."""
    imagenet_file: str | None = None
    """Name of the file with its weights for ImageNet among those that PyTorch publishes, which ends in the
    start of its SHA-256."""
    smallest_image_size: int | None
    """Pixels; None where only building it tells (timm)."""
    takes_drop_path: bool | None
    """None where only building it tells (timm)."""
    has_batch_norm: bool | None
    """None where only building it tells (timm)."""
    is_plain: bool = False
    """Whether it has dense layers of its own, takes any number of channels and has no residual blocks."""
    shape: Shape | None
    """None where only the library that builds it knows (timm)."""

    @property
    def has_imagenet_weights(self) -> bool | None:
        """None where only the library that builds it knows (timm)."""
        return None if self.shape is None else self.imagenet_file is not None

    def multiply_adds(self, image_size: int, channels: int = 3) -> int | None:
        """Multiply-adds of one image's forward pass, convolutions and dense layers; None where unknown."""
        return None if self.shape is None else self.shape.multiply_adds(image_size, channels)


def halved(side: int) -> int:
    """The side of a map after a layer of stride 2 with padding, in pixels."""
    return (side + 1) // 2
