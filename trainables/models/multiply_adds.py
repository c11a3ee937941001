"""The shapes of our own networks and of ResNets, and what a forward pass through them costs."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class CnnShape:
    """Blocks of convolution 3x3, BatchNorm, ReLU, max-pool 2x2, then dense layers."""

    widths: tuple[int, ...]
    """Channels of each block."""
    dense: tuple[int, ...]
    """Units of each dense layer but the last, which has one unit per class."""

    def num_features(self, image_size: int) -> int:
        """Values that reach the first dense layer; each block halves the side, rounding down."""
        return self.widths[-1] * (image_size >> len(self.widths)) ** 2

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        sides = [image_size >> block for block in range(len(self.widths))]
        widths = pairwise((channels, *self.widths))
        convolutions = sum(9 * before * after * side**2 for side, (before, after) in zip(sides, widths, strict=True))
        dense = sum(before * after for before, after in pairwise((self.num_features(image_size), *self.dense)))
        return convolutions + dense


@dataclass(frozen=True, kw_only=True)
class ResNetShape:
    """A residual network for ImageNet (He et al. 2015, arXiv:1512.03385; stride in the 3x3 convolution as torchvision has it)."""

    blocks: tuple[int, ...]
    """Residual blocks of each of the four stages."""
    is_bottleneck: bool
    """Whether a block is 1x1, 3x3, 1x1 with four times the width at its end, or twice 3x3."""

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        side = _halved(image_size)
        total = 49 * channels * 64 * side**2
        side, width_in = _halved(side), 64
        for stage, num_blocks in enumerate(self.blocks):
            for block in range(num_blocks):
                side_in, side = side, _halved(side) if block == 0 and stage > 0 else side
                total += self._block(width_in, 64 << stage, side_in, side)
                width_in = self._width_out(64 << stage)
        return total

    def _block(self, width_in: int, width: int, side_in: int, side: int) -> int:
        width_out = self._width_out(width)
        shortcut = width_in * width_out * side**2 if width_in != width_out else 0
        if self.is_bottleneck:
            return shortcut + width_in * width * side_in**2 + (9 * width**2 + width * width_out) * side**2
        return shortcut + 9 * (width_in * width + width**2) * side**2

    def _width_out(self, width: int) -> int:
        return 4 * width if self.is_bottleneck else width


def _halved(side: int) -> int:
    return (side + 1) // 2
