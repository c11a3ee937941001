"""A network as pieces that compute one after another what the whole computes, so that it can be cut between
two of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_CHANCES = ("p", "drop_prob", "drop_rate", "dropout")
"""What layers of torch, torchvision and timm call their chance to drop something in training."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A part of a network that maps one tensor to one."""

    name: str
    module: nn.Module
    """It shares its layers with the network."""
    without: nn.Module | None = None
    """Layers of `module` that the piece does not compute: the classifier of a whole model."""

    def is_constant(self) -> bool:
        """Whether what it makes of an image stays the same while the network trains in its modes of now:
        nothing in it learns, counts statistics, or drops out.
        """
        layers = list(self._layers())
        return not any(
            parameter.requires_grad for layer in layers for parameter in layer.parameters(recurse=False)
        ) and not any(map(_changes, layers))

    def tensors(self) -> Iterator[Tensor]:
        """All numbers that its output depends on, in a fixed order."""
        for layer in self._layers():
            yield from layer.parameters(recurse=False)
            yield from layer.buffers(recurse=False)

    def _layers(self) -> Iterator[nn.Module]:
        others = set() if self.without is None else {id(layer) for layer in self.without.modules()}
        return (layer for layer in self.module.modules() if id(layer) not in others)


Pieces = Callable[[Any], tuple[Piece, ...]]
"""From a network's module, or a copy of it, to its pieces from input to logits; none where it has no place to
cut."""


def no_pieces(module: nn.Module) -> tuple[Piece, ...]:
    """Of a network that cannot be cut."""
    return ()


def named(name: str, *layers: nn.Module) -> Piece:
    """These layers, one after another, as a piece."""
    return Piece(name=name, module=layers[0] if len(layers) == 1 else nn.Sequential(*layers))


def _changes(layer: nn.Module) -> bool:
    if not layer.training:
        return False
    chances = (getattr(layer, name, None) for name in _CHANCES)
    return isinstance(layer, BATCH_NORMS) or any(isinstance(one, float) and one > 0 for one in chances)
