"""Where a network is cut in a phase: after the last of the layers that nothing in the phase changes."""

import hashlib
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.devices.device import autocast
from trainables.feature_cache.feature_file import Layout
from trainables.models.network import Network
from trainables.models.pieces import Pieces

# C channels, S side of the images


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenPrefix:
    """The frozen pieces at a network's input, and what comes after them."""

    pieces: Pieces
    num_frozen: int
    name: str
    """Of the last frozen piece."""

    @classmethod
    def of(cls, network: Network) -> "FrozenPrefix | None":
        """Of a network in the modes that it trains in; None where already its first piece changes."""
        pieces = network.pieces(network.module)
        frozen = list(takewhile(lambda piece: piece.is_constant(), pieces))
        if not frozen or len(frozen) == len(pieces):
            return None
        return cls(pieces=network.pieces, num_frozen=len(frozen), name=frozen[-1].name)

    def prefix(self, module: nn.Module) -> nn.Module:
        """What is frozen of the network's module, or of a copy of it; it shares its layers."""
        return nn.Sequential(*(piece.module for piece in self.pieces(module)[: self.num_frozen]))

    def suffix(self, module: nn.Module) -> nn.Module:
        """The rest: it maps features to logits."""
        return nn.Sequential(*(piece.module for piece in self.pieces(module)[self.num_frozen :]))

    def digest(self, module: nn.Module) -> str:
        """Of all weights and statistics of the prefix: where two are equal, so are their features."""
        digest = hashlib.sha256()
        for piece in self.pieces(module)[: self.num_frozen]:
            for tensor in piece.tensors():
                digest.update(f"{piece.name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(_content(tensor))
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class PrefixCost:
    """What a prefix makes of one image, and what that takes."""

    layout: Layout
    flops: int
    """Operations on floating-point numbers."""

    @classmethod
    def of(cls, frozen: FrozenPrefix, module: nn.Module, image_1CSS: Tensor) -> "PrefixCost | None":
        """By trying it on an image; None where the pieces do not come to what the network's module computes.

        Puts the module into evaluation mode.
        """
        device, counter = image_1CSS.device, FlopCounterMode(display=False)
        with torch.no_grad(), autocast(device):
            whole_1K = module.eval()(image_1CSS)
            with counter:
                features = frozen.prefix(module).eval()(image_1CSS)
            if not isinstance(features, Tensor) or not torch.equal(
                frozen.suffix(module)(features.clone()), whole_1K
            ):
                return None
        return cls(layout=Layout.of(features), flops=int(counter.get_total_flops()))


def _content(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
