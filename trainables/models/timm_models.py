"""Any classifier of timm, its layers split into four stages that mean about the same in every
architecture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from trainables.errors import RecipeError
from trainables.models.architectures.architecture import Architecture
from trainables.models.catalogue import NUM_TIMM_STAGES, timm_name
from trainables.models.composition import Maps
from trainables.models.heads import classifier_keys, dense_head
from trainables.models.network import HYBRID_PREFIX, Network
from trainables.models.pieces import Piece, named, no_pieces
from trainables.models.weights import read_state_dict
from trainables.recipe.model import Model

# B batch, C channels, H height, W width, S side of the images

# What timm's models raise where they cannot do what is asked of them.
_REFUSALS = (
    RuntimeError,
    AssertionError,
    ValueError,
    TypeError,
    NotImplementedError,
    AttributeError,
    IndexError,
)


def build(
    architecture: Architecture,
    model: Model,
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    imagenet_file: Path | None,
) -> tuple[Network, Maps]:
    """timm's model, with timm's own weights where `imagenet_file` holds them.

    Draws from torch's global generator.

    For a hybrid head it ends with the last maps, and has no head yet. Raises RecipeError for a model that is
    no classifier or cannot take images of this size, such a head, or `drop_path`, WeightsError for a damaged
    file.
    """
    source = _source(imagenet_file)
    try:
        module = _created(model, num_classes, channels, image_size, source)
        _check_output(module, num_classes, channels, image_size)
        blocks_by_stage, classifier = _split(module)
    except _REFUSALS as error:
        raise RecipeError(_refusal(model, channels, image_size, error)) from error
    keys, prefixes = (
        frozenset(classifier),
        (*sorted({key.rpartition(".")[0] + "." for key in classifier}), HYBRID_PREFIX),
    )
    if model.head.kind == "mlp":
        classifier, keys = _put_mlp(module, model, num_classes)
    if model.head.kind == "hybrid":
        classifier, keys = [], frozenset()
        _end_with_maps(module, model, channels, image_size)
    parameters = dict(module.named_parameters())
    network = Network(
        module=module,
        # Without its classifier, a model may also lack what comes right before it.
        blocks_by_stage=tuple(
            tuple(tuple(parameters[key] for key in block if key in parameters) for block in blocks)
            for blocks in blocks_by_stage
        ),
        head=tuple(parameters[key] for key in classifier),
        classifier_keys=keys,
        pieces=no_pieces if model.head.kind == "hybrid" else timm_pieces,
        head_prefixes=prefixes,
    )
    return network, two_timm_maps if model.head.multi_scale else timm_maps


def timm_pieces(module: Any) -> tuple[Piece, ...]:
    """All but the classifier, and the classifier; none for a model that is not just one after the other."""
    classifier = module.get_classifier()
    if not isinstance(classifier, nn.Module) or not hasattr(module, "forward_head"):
        return ()
    before = Piece(name="pooling", module=_BeforeClassifier(module), without=classifier)
    return before, named("classifier", classifier)


class _BeforeClassifier(nn.Module):
    """What a model does before its classifier."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images_BCSS: Tensor) -> Tensor:
        features_BF: Tensor = self.model.forward_head(
            self.model.forward_features(images_BCSS), pre_logits=True
        )
        return features_BF


def timm_maps(module: Any, images_BCSS: Tensor) -> Sequence[Tensor]:
    """The last maps (B, C, H, W) of a model whose classifier and pooling were taken out."""
    return (module(images_BCSS),)


def two_timm_maps(module: Any, images_BCSS: Tensor) -> Sequence[Tensor]:
    """The same, and the maps (B, C, H, W) of the stage before the last."""
    features_BCHW, (third_BCHW, _) = module.forward_intermediates(images_BCSS, indices=2)
    return module.forward_head(features_BCHW), third_BCHW


def _created(model: Model, num_classes: int, channels: int, image_size: int, source: dict[str, Any]) -> Any:
    name = timm_name(model.architecture)
    config = timm.models.get_pretrained_cfg(name)
    size: dict[str, Any] = {"img_size": image_size} if config is not None and config.fixed_input_size else {}
    dropout = model.dropout if model.head.kind == "linear" else 0.0
    drop_path: dict[str, Any] = {"drop_path_rate": model.drop_path} if model.drop_path else {}
    module: Any = timm.create_model(
        name, num_classes=num_classes, in_chans=channels, drop_rate=dropout, **drop_path, **size, **source
    )
    module.pretrained_cfg.pop("state_dict", None)
    return module


def _source(imagenet_file: Path | None) -> dict[str, Any]:
    if imagenet_file is None:
        return {}
    # timm fits the weights itself: it resizes position embeddings, sums a colour stem and drops a classifier
    # of other classes.
    return {
        "pretrained": True,
        "pretrained_cfg_overlay": {"state_dict": read_state_dict(imagenet_file), "custom_load": False},
    }


def _check_output(module: nn.Module, num_classes: int, channels: int, image_size: int) -> None:
    with torch.no_grad():
        logits = module.eval()(torch.zeros(1, channels, image_size, image_size))
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, num_classes):
        raise ValueError(f"it does not return {num_classes} logits for an image")


def _refusal(model: Model, channels: int, image_size: int, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    if "drop_path_rate" in reason:
        return (
            f"drop_path of {model.architecture} must be 0, as timm's model takes none; got "
            f"{model.drop_path:g}: set drop_path to 0"
        )
    return (
        f"{model.architecture} must be a classifier that takes images of {channels} channel(s) at "
        f"{image_size} pixels, "
        f"and is not: {reason}; change image_size or architecture"
    )


def _split(module: Any) -> tuple[list[list[list[str]]], list[str]]:
    """Parameter names by block and stage, and those of the classifier."""
    classifier = _classifier_names(module)
    blocks, layers = (_layers(module, classifier, is_coarse=is_coarse) for is_coarse in (False, True))
    if len(layers) < NUM_TIMM_STAGES:
        layers = blocks
    stage_of = {
        key: index * NUM_TIMM_STAGES // len(layers) for index, layer in enumerate(layers) for key in layer
    }
    stages: list[list[list[str]]] = [[] for _ in range(NUM_TIMM_STAGES)]
    for block in blocks:
        stages[stage_of[block[0]]].append(block)
    return stages, classifier


def _classifier_names(module: Any) -> list[str]:
    classifier = module.get_classifier()
    layers = classifier if isinstance(classifier, tuple | list) else (classifier,)
    own = {id(parameter) for layer in layers for parameter in layer.parameters()}
    keys = [key for key, parameter in module.named_parameters() if id(parameter) in own]
    if not keys:
        raise ValueError("it has no classifier")
    return keys


def _layers(module: Any, classifier: list[str], *, is_coarse: bool) -> list[list[str]]:
    """Parameter names in timm's groups, from input to output, the classifier's left out."""
    groups = group_parameters(module, module.group_matcher(coarse=is_coarse))
    # timm's first group is the stem with tokens and position embeddings; its last holds what follows the
    # layers, the classifier included.
    stem, *layers, neck = (groups[ordinal] for ordinal in sorted(groups))
    layers[0] = stem + layers[0]
    layers[-1] += neck
    kept = ([key for key in layer if key not in classifier] for layer in layers)
    return [layer for layer in kept if layer]


def _put_mlp(module: Any, model: Model, num_classes: int) -> tuple[list[str], frozenset[str]]:
    """Puts a hidden layer before the classifier; returns the head's parameter names and those of its last
    layer.
    """
    classifier = module.get_classifier()
    if not isinstance(classifier, nn.Linear):
        raise RecipeError(
            f"head of {model.architecture} must be 'linear', as its classifier is no linear layer that an "
            "MLP could replace; got 'mlp'"
        )
    (name,) = (path for path, layer in module.named_modules() if layer is classifier)
    head = dense_head(
        model.head, in_features=classifier.in_features, num_classes=num_classes, dropout=model.dropout
    )
    module.set_submodule(name, head)
    return [f"{name}.{key}" for key, _ in head.named_parameters()], classifier_keys(head, name)


def _end_with_maps(module: Any, model: Model, channels: int, image_size: int) -> None:
    """Takes out classifier and pooling; raises RecipeError if what is left gives no maps (B, C, H, W)."""
    maps = two_timm_maps if model.head.multi_scale else timm_maps
    try:
        module.reset_classifier(0, "")
        with torch.no_grad():
            shapes = [
                tuple(tried.shape)
                for tried in maps(module.eval(), torch.zeros(1, channels, image_size, image_size))
            ]
    except _REFUSALS as error:
        raise RecipeError(_no_maps(model, str(error).strip().split("\n")[0])) from error
    if any(len(shape) != 4 for shape in shapes) or getattr(module, "output_fmt", "NCHW") != "NCHW":
        raise RecipeError(_no_maps(model, f"it returns {', '.join(map(str, shapes))}"))


def _no_maps(model: Model, reason: str) -> str:
    scales = "two scales of maps" if model.head.multi_scale else "maps"
    return (
        f"head 'hybrid' needs {scales} (B, C, H, W), which {model.architecture} does not give: {reason}; "
        "take head 'linear' or 'mlp', or a convolutional architecture"
    )
