"""torchvision's ResNets, for any number of channels, with dropout before the last layer and residual blocks
that can be skipped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import StochasticDepth

from trainables.models.architectures.architecture import Architecture
from trainables.models.architectures.resnet_family import ResNetShape
from trainables.models.composition import Maps
from trainables.models.heads import classifier_keys, dense_head
from trainables.models.network import HYBRID_PREFIX, Block, Network
from trainables.models.pieces import Piece, named
from trainables.models.stem import stem_for
from trainables.recipe.model import Model

# B batch, C channels, H height, W width, S side of the images


def build(
    architecture: Architecture,
    model: Model,
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    imagenet_file: Path | None,
) -> tuple[Network, Maps]:
    """A ResNet with fresh weights; stages are layer1 to layer4, the stem belongs to the first.

    Draws from torch's global generator.

    For a hybrid head it ends with the last maps, and has no head yet.
    """
    shape = architecture.shape
    assert isinstance(shape, ResNetShape)
    module = ResNet(
        SkippableBottleneck if shape.is_bottleneck else SkippableBasicBlock,
        list(shape.blocks),
        num_classes=num_classes,
    )
    if shape.has_small_stem:
        module.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        module.maxpool = nn.Identity()
    if channels != 3 or shape.has_small_stem:
        module.conv1 = stem_for(module.conv1, channels)
    is_hybrid = model.head.kind == "hybrid"
    in_features, dropout = module.fc.in_features, model.dropout
    module.fc = (
        nn.Identity()
        if is_hybrid
        else dense_head(model.head, in_features=in_features, num_classes=num_classes, dropout=dropout)
    )
    _make_skippable(module, model.drop_path)
    network = Network(
        module=module,
        blocks_by_stage=_blocks_by_stage(module),
        head=tuple(module.fc.parameters()),
        classifier_keys=frozenset() if is_hybrid else classifier_keys(module.fc, "fc"),
        pieces=resnet_maps_pieces if is_hybrid else resnet_pieces,
        head_prefixes=("fc.", HYBRID_PREFIX),
    )
    return network, resnet_maps


def resnet_maps(module: Any, images_BCSS: Tensor) -> Sequence[Tensor]:
    """The maps (B, C, H, W) of layer4 and those of layer3."""
    stem_BCHW = module.maxpool(module.relu(module.bn1(module.conv1(images_BCSS))))
    third_BCHW = module.layer3(module.layer2(module.layer1(stem_BCHW)))
    return module.layer4(third_BCHW), third_BCHW


def resnet_pieces(module: Any) -> tuple[Piece, ...]:
    """The stem, each residual block, the pooling, the last layers."""
    pooling = named("pooling", module.avgpool, nn.Flatten(1))
    return (*resnet_maps_pieces(module), pooling, named("fc", module.fc))


def resnet_maps_pieces(module: Any) -> tuple[Piece, ...]:
    """Those up to the last maps."""
    blocks = (
        named(f"layer{number}.{index}", block)
        for number, layer in enumerate(_layers(module), start=1)
        for index, block in enumerate(layer)
    )
    return (named("stem", module.conv1, module.bn1, module.relu, module.maxpool), *blocks)


class SkippableBasicBlock(BasicBlock):  # type: ignore[misc]  # torchvision has no types
    """torchvision's BasicBlock, whose residual branch `drop_path` may leave out."""

    drop_path: nn.Module

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps (B, C, H, W)."""
        branch_BCHW = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps_BCHW)))))
        shortcut_BCHW = maps_BCHW if self.downsample is None else self.downsample(maps_BCHW)
        output_BCHW: Tensor = self.relu(self.drop_path(branch_BCHW).add_(shortcut_BCHW))
        return output_BCHW


class SkippableBottleneck(Bottleneck):  # type: ignore[misc]
    """torchvision's Bottleneck, whose residual branch `drop_path` may leave out."""

    drop_path: nn.Module

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps (B, C, H, W)."""
        branch_BCHW = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps_BCHW))))))
        branch_BCHW = self.bn3(self.conv3(branch_BCHW))
        shortcut_BCHW = maps_BCHW if self.downsample is None else self.downsample(maps_BCHW)
        output_BCHW: Tensor = self.relu(self.drop_path(branch_BCHW).add_(shortcut_BCHW))
        return output_BCHW


def _make_skippable(module: Any, drop_path: float) -> None:
    blocks = [block for layer in _layers(module) for block in layer]
    for index, block in enumerate(blocks):
        block.drop_path = StochasticDepth(drop_path * index / (len(blocks) - 1), "row")


def _blocks_by_stage(module: Any) -> tuple[tuple[Block, ...], ...]:
    stages = [[tuple(block.parameters()) for block in layer] for layer in _layers(module)]
    stages[0][0] = (*module.conv1.parameters(), *module.bn1.parameters(), *stages[0][0])
    return tuple(tuple(blocks) for blocks in stages)


def _layers(module: Any) -> tuple[Any, ...]:
    return (module.layer1, module.layer2, module.layer3, module.layer4)
