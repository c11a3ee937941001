"""Any classifier of timm, its layers split into four stages that mean about the same in every architecture."""

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import nn

from trainables.errors import RecipeError
from trainables.models.catalogue import NUM_TIMM_STAGES, TIMM_PREFIX
from trainables.models.network import Network
from trainables.models.weights import read_state_dict


def build_timm(name: str, *, num_classes: int, channels: int, image_size: int, dropout: float, imagenet_file: Path | None) -> Network:
    """timm's model `name`, with timm's own weights where `imagenet_file` holds them. Draws from torch's global generator.

    Raises RecipeError for a model that is no classifier or cannot take images of this size, WeightsError for a damaged file.
    """
    source = _source(imagenet_file)
    try:
        size = _fixed_size(name, image_size)
        module = timm.create_model(name, num_classes=num_classes, in_chans=channels, drop_rate=dropout, **size, **source)
        module.pretrained_cfg.pop("state_dict", None)
        _check_output(module, num_classes, channels, image_size)
        stages, head = _split(module)
    except (RuntimeError, AssertionError, ValueError, TypeError, NotImplementedError, AttributeError, IndexError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise RecipeError(
            f"{TIMM_PREFIX}{name} must be a classifier that takes images of {channels} channel(s) at {image_size} pixels, "
            f"and is not: {reason}; change image_size or architecture"
        ) from error
    parameters = dict(module.named_parameters())
    return Network(
        module=module,
        stages=tuple(tuple(parameters[key] for key in stage) for stage in stages),
        head=tuple(parameters[key] for key in head),
        classifier_keys=frozenset(head),
    )


def _fixed_size(name: str, image_size: int) -> dict[str, Any]:
    config = timm.models.get_pretrained_cfg(name)
    return {"img_size": image_size} if config is not None and config.fixed_input_size else {}


def _source(imagenet_file: Path | None) -> dict[str, Any]:
    if imagenet_file is None:
        return {}
    # timm fits the weights itself: it resizes position embeddings, sums a colour stem and drops a classifier of other classes.
    return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": read_state_dict(imagenet_file), "custom_load": False}}


def _check_output(module: nn.Module, num_classes: int, channels: int, image_size: int) -> None:
    with torch.no_grad():
        logits = module.eval()(torch.zeros(1, channels, image_size, image_size))
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, num_classes):
        raise ValueError(f"it does not return {num_classes} logits for an image")


def _split(module: Any) -> tuple[list[list[str]], list[str]]:
    """Parameter names by stage, and those of the classifier."""
    head = _classifier_keys(module)
    groups = _groups(module, is_coarse=True)
    if len(groups) - 2 < NUM_TIMM_STAGES:
        groups = _groups(module, is_coarse=False)
    # timm's first group is the stem with tokens and position embeddings; its last holds what follows the layers, the classifier included.
    stem, *layers, neck = groups
    layers[0] = stem + layers[0]
    layers[-1] += neck
    stages: list[list[str]] = [[] for _ in range(NUM_TIMM_STAGES)]
    for index, layer in enumerate(layers):
        stages[index * NUM_TIMM_STAGES // len(layers)] += [key for key in layer if key not in head]
    return stages, head


def _classifier_keys(module: Any) -> list[str]:
    classifier = module.get_classifier()
    layers = classifier if isinstance(classifier, tuple | list) else (classifier,)
    own = {id(parameter) for layer in layers for parameter in layer.parameters()}
    keys = [key for key, parameter in module.named_parameters() if id(parameter) in own]
    if not keys:
        raise ValueError("it has no classifier")
    return keys


def _groups(module: Any, *, is_coarse: bool) -> list[list[str]]:
    """Parameter names in timm's groups, from input to output."""
    groups = group_parameters(module, module.group_matcher(coarse=is_coarse))
    return [groups[ordinal] for ordinal in sorted(groups)]
