"""Attention on feature maps: which channels matter (squeeze-and-excitation), which places do, or both
(CBAM).
"""

from typing import Literal, assert_never

import torch
from timm.layers.cbam import CbamModule
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn

# B batch, C channels, H height, W width


def build_attention(kind: Literal["none", "se", "cbam", "sca"], channels: int, reduction: int) -> nn.Module:
    """A module that weights maps (B, C, H, W) and keeps their shape; the bottleneck has C / reduction
    channels, at least 1.
    """
    bottleneck = max(channels // reduction, 1)
    match kind:
        case "none":
            return nn.Identity()
        case "se":
            return SEModule(channels, rd_channels=bottleneck)
        case "cbam":
            return CbamModule(channels, rd_channels=bottleneck)
        case "sca":
            return nn.Sequential(SEModule(channels, rd_channels=bottleneck), SpatialAttention())
        case _:
            assert_never(kind)


class SpatialAttention(nn.Module):
    """CBAM's weight for each place (arXiv:1807.06521, 3.2), from mean and maximum over channels by a
    convolution 7x7.

    Without CBAM's BatchNorm, which would keep running statistics of one channel: 98 weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps (B, C, H, W)."""
        summary_B2HW = torch.cat([maps_BCHW.mean(1, keepdim=True), maps_BCHW.amax(1, keepdim=True)], dim=1)
        weighted_BCHW: Tensor = maps_BCHW * self.convolution(summary_B2HW).sigmoid()
        return weighted_BCHW
