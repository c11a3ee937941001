"""torchvision's EfficientNet, MobileNetV3 and ConvNeXt: what a forward pass through them costs at each
resolution.
"""

from dataclasses import dataclass

from trainables.models.architectures.architecture import Architecture, halved


@dataclass(frozen=True, kw_only=True)
class PyramidShape:
    """A network known by what it costs at each resolution, counted from torchvision's with
    `torch.utils.flop_counter`.
    """

    stage_starts: tuple[int, ...]
    """Indices of torchvision's `features` at which stages with a quarter, an eighth, ... of the images' side
    begin, the stem in the first."""
    stem_halvings: int
    """How often the first convolution halves the side."""
    stem_weights: int
    """Weights of the first convolution, for one channel."""
    by_halvings: tuple[int, ...]
    """Multiply-adds at each position after 1, 2, ... halvings, the first convolution left out."""
    pooled: int = 0
    """Multiply-adds that the image's size does not change; the last dense layer is too small to count."""
    is_rounded_down: bool = False
    """Whether a side that is odd loses a pixel when it is halved."""

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass."""
        sides = [image_size]
        for _ in self.by_halvings:
            sides.append(sides[-1] // 2 if self.is_rounded_down else halved(sides[-1]))
        stem = self.stem_weights * channels * sides[self.stem_halvings] ** 2
        return (
            stem
            + sum(cost * side**2 for cost, side in zip(self.by_halvings, sides[1:], strict=True))
            + self.pooled
        )


def _pyramid(
    name: str,
    shape: PyramidShape,
    imagenet_file: str,
    *,
    takes_drop_path: bool = True,
    has_batch_norm: bool = True,
) -> Architecture:
    return Architecture(
        name=name,
        builder="trainables.models.pyramids",
        num_stages=len(shape.stage_starts),
        imagenet_file=imagenet_file,
        smallest_image_size=32,  # the side is halved five times
        takes_drop_path=takes_drop_path,
        has_batch_norm=has_batch_norm,
        shape=shape,
    )


ARCHITECTURES = (
    _pyramid(
        "efficientnet_b3",
        PyramidShape(
            stage_starts=(0, 3, 4, 6),
            stem_halvings=1,
            stem_weights=360,
            by_halvings=(5_568, 40_080, 97_536, 1_721_760, 6_863_184),
            pooled=1_859_648,
        ),
        "efficientnet_b3_rwightman-b3899882.pth",
    ),
    _pyramid(
        "mobilenet_v3_small",
        PyramidShape(
            stage_starts=(0, 2, 4, 9),
            stem_halvings=1,
            stem_weights=144,
            by_halvings=(0, 1_552, 9_696, 101_448, 340_128),
            pooled=1_048_576,
        ),
        "mobilenet_v3_small-047dcff4.pth",
        takes_drop_path=False,  # torchvision's has none
    ),
    _pyramid(
        "convnext_tiny",
        PyramidShape(
            stage_starts=(0, 2, 4, 6),
            stem_halvings=2,
            stem_weights=1_536,
            by_halvings=(0, 235_296, 986_688, 11_081_088, 15_448_320),
            is_rounded_down=True,
        ),
        "convnext_tiny-983f1562.pth",
        has_batch_norm=False,
    ),
)
