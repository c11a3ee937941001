"""From a recipe's model to a network with its first weights, which follow from the seed alone."""

from pathlib import Path

from trainables.models.catalogue import CNN_SHAPES, RESNET_SHAPES, TIMM_PREFIX, check_image_size, find_architecture, timm_name
from trainables.models.checkpoints import find_checkpoint
from trainables.models.network import Network
from trainables.models.weights import load_weights
from trainables.randomness import seeded
from trainables.recipe.model import Model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_model(model: Model, *, num_classes: int, channels: int, image_size: int, seed: int) -> Network:
    """The network of a recipe on the CPU; the process's random generators are neither read nor changed.

    Raises RecipeError if the architecture cannot take such images, WeightsError if the weights cannot be had or do not fit.
    """
    check_image_size(find_architecture(model.architecture), image_size)
    checkpoint = find_checkpoint(model)
    with seeded(seed, "initial weights"):
        network = _fresh(model, num_classes, channels, image_size, checkpoint)
    if checkpoint is not None and not _loads_itself(model):
        load_weights(network, checkpoint)
    return network


def pixel_statistics(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by colour of the pixels, in [0, 1], that the architecture's published weights were trained on."""
    if not architecture.startswith(TIMM_PREFIX):
        return IMAGENET_MEAN, IMAGENET_STD
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(timm_name(architecture))
    return (tuple(config.mean), tuple(config.std)) if config is not None else (IMAGENET_MEAN, IMAGENET_STD)


def _fresh(model: Model, num_classes: int, channels: int, image_size: int, checkpoint: Path | None) -> Network:
    # torchvision and timm take seconds to import, so each network's module is imported when it is asked for.
    name, dropout = model.architecture, model.dropout
    if name in CNN_SHAPES:
        from trainables.models.cnn import build_cnn

        return build_cnn(CNN_SHAPES[name], num_classes=num_classes, channels=channels, image_size=image_size, dropout=dropout)
    if name in RESNET_SHAPES:
        from trainables.models.resnet import build_resnet

        return build_resnet(name, num_classes=num_classes, channels=channels, dropout=dropout)
    from trainables.models.timm_models import build_timm

    return build_timm(
        timm_name(name),
        num_classes=num_classes,
        channels=channels,
        image_size=image_size,
        dropout=dropout,
        imagenet_file=checkpoint if _loads_itself(model) else None,
    )


def _loads_itself(model: Model) -> bool:
    return model.weights == "imagenet" and find_architecture(model.architecture).has_imagenet_weights is None
