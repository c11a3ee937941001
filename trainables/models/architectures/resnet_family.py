"""ResNets as torchvision has them, and one with a small stem: their shapes, and what a forward pass through
them costs.
"""

from dataclasses import dataclass

from trainables.models.architectures.architecture import Architecture, halved


@dataclass(frozen=True, kw_only=True)
class ResNetShape:
    """A residual network for ImageNet (He et al. 2015, arXiv:1512.03385; stride in the 3x3 convolution as
    torchvision has it).
    """

    blocks: tuple[int, ...]
    """Residual blocks of each of the four stages."""
    is_bottleneck: bool
    """Whether a block is 1x1, 3x3, 1x1 with four times the width at its end, or twice 3x3."""
    has_small_stem: bool = False
    """Whether the stem is a convolution 3x3 that keeps the size, as for CIFAR-10 in the paper, in place of
    7x7 and a max-pool."""

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        side = image_size if self.has_small_stem else halved(image_size)
        total = (9 if self.has_small_stem else 49) * channels * 64 * side**2
        side, width_in = side if self.has_small_stem else halved(side), 64
        for stage, num_blocks in enumerate(self.blocks):
            for block in range(num_blocks):
                side_in, side = side, halved(side) if block == 0 and stage > 0 else side
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


def _resnet(name: str, shape: ResNetShape, imagenet_file: str | None = None) -> Architecture:
    return Architecture(
        name=name,
        builder="trainables.models.resnet",
        num_stages=len(shape.blocks),
        imagenet_file=imagenet_file,
        smallest_image_size=16,
        takes_drop_path=True,
        has_batch_norm=True,
        shape=shape,
    )


ARCHITECTURES = (
    _resnet("resnet18", ResNetShape(blocks=(2, 2, 2, 2), is_bottleneck=False), "resnet18-f37072fd.pth"),
    _resnet("resnet18-3x3", ResNetShape(blocks=(2, 2, 2, 2), is_bottleneck=False, has_small_stem=True)),
    _resnet("resnet34", ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=False), "resnet34-b627a593.pth"),
    _resnet("resnet50", ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=True), "resnet50-0676ba61.pth"),
)
