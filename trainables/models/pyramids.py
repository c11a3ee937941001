"""torchvision's EfficientNet, MobileNetV3 and ConvNeXt: features that shrink stage by stage, then a
classifier.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock, ConvNeXt
from torchvision.models.efficientnet import MBConv
from torchvision.models.mobilenetv3 import InvertedResidual

from trainables.models.architectures.architecture import Architecture
from trainables.models.architectures.pyramid_family import PyramidShape
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
    """torchvision's network with fresh weights; a stage ends where the side is halved.

    Draws from torch's global generator.

    What its classifier does before the last layer belongs to the last block. For a hybrid head it ends with
    the last maps (ConvNeXt's normalised), and has no head yet.
    """
    assert isinstance(architecture.shape, PyramidShape)
    options = {"stochastic_depth_prob": model.drop_path} if architecture.takes_drop_path else {}
    module = getattr(torchvision.models, architecture.name)(weights=None, num_classes=num_classes, **options)
    if channels != 3:
        module.features[0][0] = stem_for(module.features[0][0], channels)
    # A file may come from a network whose hybrid head has taken the place of these.
    linear = (index for index, layer in enumerate(module.classifier) if not isinstance(layer, nn.LayerNorm))
    prefixes = (*(f"classifier.{index}." for index in linear), HYBRID_PREFIX)
    head, keys = _replace_classifier(module, model, num_classes)
    starts = architecture.shape.stage_starts
    network = Network(
        module=module,
        blocks_by_stage=_blocks_by_stage(module, starts, head),
        head=head,
        classifier_keys=keys,
        pieces=pyramid_maps_pieces if model.head.kind == "hybrid" else pyramid_pieces,
        head_prefixes=prefixes,
    )
    return network, partial(pyramid_maps, last_stage=starts[-1])


def pyramid_maps(module: Any, images_BCSS: Tensor, *, last_stage: int) -> Sequence[Tensor]:
    """The maps (B, C, H, W) of the last stage, which begins at that index of the features, and those of the
    stage before.
    """
    third_BCHW = module.features[:last_stage](images_BCSS)
    return module.classifier(module.features[last_stage:](third_BCHW)), third_BCHW


def pyramid_pieces(module: Any) -> tuple[Piece, ...]:
    """Each block, the pooling, each layer of the classifier."""
    # ConvNeXt's classifier flattens what it normalised.
    flat = () if isinstance(module, ConvNeXt) else (nn.Flatten(1),)
    classifier = (named(f"classifier.{index}", layer) for index, layer in enumerate(module.classifier))
    return (*_blocks(module), named("pooling", module.avgpool, *flat), *classifier)


def pyramid_maps_pieces(module: Any) -> tuple[Piece, ...]:
    """Those up to the last maps."""
    return (*_blocks(module), named("classifier", module.classifier))


def _blocks(module: Any) -> tuple[Piece, ...]:
    return tuple(
        named(f"features.{index}" if layer is feature else f"features.{index}.{number}", layer)
        for index, feature in enumerate(module.features)
        for number, layer in enumerate(feature if type(feature) is nn.Sequential else [feature])
    )


def _replace_classifier(module: Any, model: Model, num_classes: int) -> tuple[Block, frozenset[str]]:
    """The new head's parameters, and the keys that depend on the number of classes."""
    layers = list(module.classifier)
    if model.head.kind == "hybrid":
        # A classifier's norm fits maps as it fits pooled features; its linear layers do not.
        module.classifier = nn.Sequential(*(layer for layer in layers if isinstance(layer, nn.LayerNorm)))
        return (), frozenset()
    # The recipe's dropout alone counts, and acts before the last layer.
    layers = [nn.Identity() if isinstance(layer, nn.Dropout) else layer for layer in layers]
    last = dense_head(
        model.head, in_features=layers[-1].in_features, num_classes=num_classes, dropout=model.dropout
    )
    module.classifier = nn.Sequential(*layers[:-1], last)
    return tuple(last.parameters()), classifier_keys(last, f"classifier.{len(layers) - 1}")


def _blocks_by_stage(module: Any, starts: Sequence[int], head: Block) -> tuple[tuple[Block, ...], ...]:
    stages: list[list[Block]] = []
    pending: Block = ()  # of layers between blocks, which belong to the next one
    for index, feature in enumerate(module.features):
        if index in starts:
            stages.append([])
        for layer in feature if type(feature) is nn.Sequential else [feature]:
            pending += tuple(layer.parameters())
            if isinstance(layer, CNBlock | MBConv | InvertedResidual):
                stages[-1].append(pending)
                pending = ()
    in_head = {id(parameter) for parameter in head}
    neck = tuple(parameter for parameter in module.classifier.parameters() if id(parameter) not in in_head)
    stages[-1][-1] += pending + neck
    return tuple(tuple(blocks) for blocks in stages)
