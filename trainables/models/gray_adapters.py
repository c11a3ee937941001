"""What shows an image of one channel to a network for three."""

from collections.abc import Sequence
from typing import Literal, assert_never

import torch
from torch import Tensor, nn

# B batch, H height, W width

_RESIDUAL_WIDTH = 8


def build_gray_adapter(
    kind: Literal["replicate", "learned", "convolution"], scale: Sequence[float], offset: Sequence[float]
) -> nn.Module:
    """A module that maps images (B, 1, H, W) to (B, 3, H, W); at first, colour c is scale[c] * gray +
    offset[c] for each kind.
    """
    match kind:
        case "replicate":
            return Replicate(scale, offset)
        case "learned":
            return _learned(scale, offset)
        case "convolution":
            return ResidualConvolution(scale, offset)
        case _:
            assert_never(kind)


class Replicate(nn.Module):
    """The image three times, each with its own fixed scale and offset, which are part of the state dict."""

    def __init__(self, scale: Sequence[float], offset: Sequence[float]) -> None:
        super().__init__()
        self.scale: Tensor
        self.offset: Tensor
        self.register_buffer("scale", torch.tensor(scale).view(3, 1, 1))
        self.register_buffer("offset", torch.tensor(offset).view(3, 1, 1))

    def forward(self, images_B1HW: Tensor) -> Tensor:
        """Images (B, 3, H, W), channels_last."""
        return (images_B1HW * self.scale + self.offset).contiguous(memory_format=torch.channels_last)


class ResidualConvolution(nn.Module):
    """The image three times, plus what two convolutions 3x3 make of it: nothing at first, as the second
    starts at zero.
    """

    def __init__(self, scale: Sequence[float], offset: Sequence[float]) -> None:
        super().__init__()
        self.fixed = Replicate(scale, offset)
        self.hidden = nn.Conv2d(1, _RESIDUAL_WIDTH, 3, padding=1)
        self.output = nn.Conv2d(_RESIDUAL_WIDTH, 3, 3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images_B1HW: Tensor) -> Tensor:
        """Images (B, 3, H, W)."""
        images_B3HW: Tensor = self.fixed(images_B1HW) + self.output(self.hidden(images_B1HW).relu())
        return images_B3HW


def _learned(scale: Sequence[float], offset: Sequence[float]) -> nn.Conv2d:
    layer = nn.Conv2d(1, 3, 1)
    layer.weight = nn.Parameter(torch.tensor(scale).view(3, 1, 1, 1))
    layer.bias = nn.Parameter(torch.tensor(offset))
    return layer
