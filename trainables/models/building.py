"""From a recipe's model to a network with its first weights, which follow from the seed alone."""

import importlib
from pathlib import Path

from torch import nn

from trainables.devices.randomness import seeded
from trainables.models.catalogue import TIMM_PREFIX, check_image_size, find_architecture, timm_name
from trainables.models.composition import Maps, compose, map_widths
from trainables.models.gray_adapters import build_gray_adapter
from trainables.models.network import Network
from trainables.models.pretrained_files import find_checkpoint
from trainables.models.weights import load_weights
from trainables.recipe.model import Model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_model(
    model: Model,
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    seed: int,
    normalisation: str = "dataset",
) -> Network:
    """The network of a recipe on the CPU; the process's random generators are neither read nor changed.

    `normalisation` is that of the images (`recipe.data.normalisation`); a gray adapter allows for
    `architecture`, after which a gray image becomes exactly what the published preprocessing makes of it in
    colour. For any other number of channels than 1, the adapter is ignored. Raises RecipeError if the
    architecture cannot take such images or such a head, WeightsError if the weights cannot be had or do not
    fit.
    """
    check_image_size(find_architecture(model.architecture), image_size)
    checkpoint = find_checkpoint(model)
    with seeded(seed, "initial weights"):
        network = _fresh(model, num_classes, channels, image_size, checkpoint, normalisation)
    if checkpoint is not None and not _loads_itself(model):
        load_weights(network, checkpoint)
    return network


def pixel_statistics(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by colour of the pixels, in [0, 1], that the architecture's published weights were
    trained on.
    """
    if not architecture.startswith(TIMM_PREFIX):
        return IMAGENET_MEAN, IMAGENET_STD
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(timm_name(architecture))
    return (tuple(config.mean), tuple(config.std)) if config is not None else (IMAGENET_MEAN, IMAGENET_STD)


def _fresh(
    model: Model,
    num_classes: int,
    channels: int,
    image_size: int,
    checkpoint: Path | None,
    normalisation: str,
) -> Network:
    is_adapted = (
        channels == 1 and model.gray_adapter != "sum" and not find_architecture(model.architecture).is_plain
    )
    channels = 3 if is_adapted else channels
    network, maps = _of_family(model, num_classes, channels, image_size, checkpoint)
    hybrid = None
    if maps is not None and model.head.kind == "hybrid":
        from trainables.models.hybrid_head import HybridHead

        widths = map_widths(network, maps, channels, image_size)
        hybrid = HybridHead(model.head, widths=widths, num_classes=num_classes, dropout=model.dropout)
    # The adapter comes last, so that the others' first weights are the same for each kind of it.
    gray_adapter = _gray_adapter(model, normalisation) if is_adapted else None
    if maps is None or (hybrid is None and gray_adapter is None):
        return network
    return compose(network, maps=maps, gray_adapter=gray_adapter, hybrid=hybrid)


def _of_family(
    model: Model, num_classes: int, channels: int, image_size: int, checkpoint: Path | None
) -> tuple[Network, Maps | None]:
    """The network, and what gives the maps that a hybrid head takes; None for a network that has no maps to
    give.

    Each family's module has a function `build` of these parameters. torchvision and timm take seconds to
    import, so a module is imported when a network of it is asked for.
    """
    architecture = find_architecture(model.architecture)
    built: tuple[Network, Maps | None] = importlib.import_module(architecture.builder).build(
        architecture,
        model,
        num_classes=num_classes,
        channels=channels,
        image_size=image_size,
        imagenet_file=checkpoint if _loads_itself(model) else None,
    )
    return built


def _gray_adapter(model: Model, normalisation: str) -> nn.Module:
    assert model.gray_adapter != "sum", "a stem for one channel needs no adapter"
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    if normalisation == "architecture":
        # `Preprocessing` normalises gray by the colours' average; this goes on to each colour's own
        # statistics.
        means, stds = pixel_statistics(model.architecture)
        gray_mean, gray_std = sum(means) / len(means), sum(stds) / len(stds)
        scale = tuple(gray_std / std for std in stds)
        offset = tuple((gray_mean - mean) / std for mean, std in zip(means, stds, strict=True))
    return build_gray_adapter(model.gray_adapter, scale, offset)


def _loads_itself(model: Model) -> bool:
    return model.weights == "imagenet" and find_architecture(model.architecture).has_imagenet_weights is None
