"""Small convolutional networks for small images: blocks of convolution, BatchNorm, ReLU and max-pool, then
dense layers.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from trainables.models.architectures.architecture import Architecture
from trainables.models.architectures.cnn_family import CnnShape
from trainables.models.network import Block, Network
from trainables.models.pieces import Piece, named
from trainables.recipe.model import Model

# B batch, C channels, H height, W width, F features, K classes


def build(
    architecture: Architecture,
    model: Model,
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    imagenet_file: Path | None,
) -> tuple[Network, None]:
    """A network with fresh weights; each of its blocks is a stage. Draws from torch's global generator."""
    assert isinstance(architecture.shape, CnnShape)
    module = Cnn(
        architecture.shape,
        num_classes=num_classes,
        channels=channels,
        image_size=image_size,
        dropout=model.dropout,
    )
    last = f"head.{len(module.head) - 1}"
    network = Network(
        module=module,
        blocks_by_stage=tuple(_by_convolution(block) for block in module.blocks),
        head=tuple(module.head.parameters()),
        classifier_keys=frozenset({f"{last}.weight", f"{last}.bias"}),
        pieces=cnn_pieces,
    )
    return network, None


def cnn_pieces(module: Any) -> tuple[Piece, ...]:
    """Each block, and the dense layers."""
    blocks = (named(f"blocks.{index}", block) for index, block in enumerate(module.blocks))
    return (*blocks, named("pooling", nn.Flatten(1)), named("head", module.head))


class Cnn(nn.Module):
    """Maps images (B, C, H, W) to logits (B, K).

    The size of the first dense layer follows from the image size.
    """

    def __init__(
        self, shape: CnnShape, *, num_classes: int, channels: int, image_size: int, dropout: float
    ) -> None:
        super().__init__()
        widths = pairwise((channels, *shape.widths))
        self.blocks = nn.Sequential(
            *(_block(shape, index, *width, dropout) for index, width in enumerate(widths))
        )
        dense = pairwise((shape.num_features(image_size), *shape.dense))
        layers = [layer for before, after in dense for layer in _dense(shape, before, after, dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(shape.dense[-1], num_classes))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        features_BF = self.blocks(images_BCHW).flatten(1)
        logits_BK: Tensor = self.head(features_BF)
        return logits_BK


def _block(shape: CnnShape, index: int, before: int, after: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(shape.num_convolutions - 1):
        layers += [*_convolution(shape, index, before, after), nn.ReLU(inplace=True)]
        before = after
    # ReLU after the max-pool: the two commute, and so it has a quarter of the values to go through.
    layers += [*_convolution(shape, index, before, after), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
    if shape.pool_dropout:
        layers.append(nn.Dropout(shape.pool_dropout * dropout))
    return nn.Sequential(*layers)


def _convolution(shape: CnnShape, index: int, before: int, after: int) -> list[nn.Module]:
    kernel = shape.kernel(index)
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return [convolution, nn.BatchNorm2d(after)] if shape.has_batch_norm else [convolution]


def _dense(shape: CnnShape, before: int, after: int, dropout: float) -> list[nn.Module]:
    normalisation = [nn.BatchNorm1d(after)] if shape.has_dense_batch_norm else []
    return [nn.Linear(before, after), *normalisation, nn.ReLU(), nn.Dropout(dropout)]


def _by_convolution(layers: nn.Module) -> tuple[Block, ...]:
    """The parameters of each convolution, with those of the BatchNorm that follows it."""
    blocks: list[Block] = []
    for layer in layers.children():
        own = tuple(layer.parameters())
        if isinstance(layer, nn.Conv2d):
            blocks.append(own)
        else:
            blocks[-1] += own
    return tuple(blocks)
