"""A library's network with a gray adapter before it, or the hybrid head in the place of its own."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainables.models.heads import classifier_keys
from trainables.models.network import BACKBONE_PREFIX, GRAY_ADAPTER_PREFIX, Network
from trainables.models.pieces import Piece, Pieces, named

# B batch, C channels, H height, W width, S side of the images, K classes

Maps = Callable[[Any, Tensor], Sequence[Tensor]]
"""From a backbone and images (B, 3, S, S) to the last stage's maps (B, C, H, W), and those of the stage
before where they are asked."""


class Composed(nn.Module):
    """Maps images (B, C, S, S) to logits (B, K) through the adapter, the backbone, and the hybrid head; one
    of the two may be absent.
    """

    def __init__(
        self, backbone: nn.Module, *, maps: Maps, gray_adapter: nn.Module | None, hybrid: nn.Module | None
    ) -> None:
        super().__init__()
        self.gray_adapter = gray_adapter
        self.backbone = backbone
        self.hybrid = hybrid
        self._maps = maps

    def forward(self, images_BCSS: Tensor) -> Tensor:
        """Logits (B, K)."""
        if self.gray_adapter is not None:
            images_BCSS = self.gray_adapter(images_BCSS)
        logits_BK: Tensor = (
            self.backbone(images_BCSS)
            if self.hybrid is None
            else self.hybrid(self._maps(self.backbone, images_BCSS))
        )
        return logits_BK


def compose(
    network: Network, *, maps: Maps, gray_adapter: nn.Module | None, hybrid: nn.Module | None
) -> Network:
    """The network with adapter and head around it; its stages stay, and adapter and head make the new
    head.
    """
    module = Composed(network.module, maps=maps, gray_adapter=gray_adapter, hybrid=hybrid)
    keys = (
        frozenset(BACKBONE_PREFIX + key for key in network.classifier_keys)
        if hybrid is None
        else classifier_keys(hybrid, "hybrid")
    )
    adapter = () if gray_adapter is None else tuple(gray_adapter.parameters())
    return Network(
        module=module,
        blocks_by_stage=network.blocks_by_stage,
        head=(*adapter, *(network.head if hybrid is None else hybrid.parameters())),
        classifier_keys=keys,
        pieces=partial(_pieces, network.pieces),
        head_prefixes=(*network.head_prefixes, GRAY_ADAPTER_PREFIX),
    )


def _pieces(of_backbone: Pieces, module: Any) -> tuple[Piece, ...]:
    backbone, adapter, hybrid = of_backbone(module.backbone), module.gray_adapter, module.hybrid
    if not backbone or (hybrid is not None and hybrid.is_multi_scale):
        return ()
    before = () if adapter is None else (named("gray_adapter", adapter),)
    after = () if hybrid is None else (named("hybrid", _OfOneMap(hybrid)),)
    return (*before, *backbone, *after)


class _OfOneMap(nn.Module):
    """A hybrid head that takes the last maps alone."""

    def __init__(self, hybrid: nn.Module) -> None:
        super().__init__()
        self.hybrid = hybrid

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.hybrid((maps_BCHW,))
        return logits_BK


def map_widths(network: Network, maps: Maps, channels: int, image_size: int) -> list[int]:
    """Channels of the maps that `maps` gives, by trying it on an image.

    Puts the module into evaluation mode.
    """
    with torch.no_grad():
        tried = maps(network.module.eval(), torch.zeros(1, channels, image_size, image_size))
    return [maps_1CHW.shape[1] for maps_1CHW in tried]
