"""The shapes of our own networks, of ResNets and of torchvision's others, and what a forward pass through them costs."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class CnnShape:
    """Blocks of convolutions with ReLU that end in a max-pool 2x2, then dense layers with ReLU."""

    widths: tuple[int, ...]
    """Channels of each block."""
    dense: tuple[int, ...]
    """Units of each dense layer but the last, which has one unit per class."""
    num_convolutions: int = 1
    """Of each block."""
    kernels: tuple[int, ...] = ()
    """Side of the convolutions of each block, odd; 3 everywhere if empty."""
    has_batch_norm: bool = True
    """Whether each convolution is followed by BatchNorm."""
    has_dense_batch_norm: bool = False
    """Whether each dense layer but the last is."""
    pool_dropout: float = 0.0
    """Values dropped after each max-pool, as a multiple of the recipe's dropout."""

    def kernel(self, block: int) -> int:
        """Side of the convolutions of a block, counted from 0."""
        return self.kernels[block] if self.kernels else 3

    def num_features(self, image_size: int) -> int:
        """Values that reach the first dense layer; each block halves the side, rounding down."""
        return self.widths[-1] * (image_size >> len(self.widths)) ** 2

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        convolutions = 0
        for block, (before, after) in enumerate(pairwise((channels, *self.widths))):
            weights = self.kernel(block) ** 2 * after * (before + (self.num_convolutions - 1) * after)
            convolutions += weights * (image_size >> block) ** 2
        dense = sum(before * after for before, after in pairwise((self.num_features(image_size), *self.dense)))
        return convolutions + dense


@dataclass(frozen=True, kw_only=True)
class ResNetShape:
    """A residual network for ImageNet (He et al. 2015, arXiv:1512.03385; stride in the 3x3 convolution as torchvision has it)."""

    blocks: tuple[int, ...]
    """Residual blocks of each of the four stages."""
    is_bottleneck: bool
    """Whether a block is 1x1, 3x3, 1x1 with four times the width at its end, or twice 3x3."""
    has_small_stem: bool = False
    """Whether the stem is a convolution 3x3 that keeps the size, as for CIFAR-10 in the paper, in place of 7x7 and a max-pool."""

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        side = image_size if self.has_small_stem else _halved(image_size)
        total = (9 if self.has_small_stem else 49) * channels * 64 * side**2
        side, width_in = side if self.has_small_stem else _halved(side), 64
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


@dataclass(frozen=True, kw_only=True)
class PyramidShape:
    """A network known by what it costs at each resolution, counted from torchvision's with `torch.utils.flop_counter`."""

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
            sides.append(sides[-1] // 2 if self.is_rounded_down else _halved(sides[-1]))
        stem = self.stem_weights * channels * sides[self.stem_halvings] ** 2
        return stem + sum(cost * side**2 for cost, side in zip(self.by_halvings, sides[1:], strict=True)) + self.pooled


def _halved(side: int) -> int:
    return (side + 1) // 2
