"""The architectures by name: what a recipe may ask for, known without importing torch."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from trainables.errors import RecipeError
from trainables.models.multiply_adds import CnnShape, ResNetShape
from trainables.models.timm_names import timm_names
from trainables.recipe.model import Model
from trainables.recipe.tree import Recipe

TIMM_PREFIX = "timm/"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What can be said of a network before it is built."""

    name: str
    num_stages: int
    """Stretches of layers between the input and the head: what `freeze_depth` counts."""
    has_imagenet_weights: bool | None
    """None where only the library that builds it knows (timm)."""
    smallest_image_size: int | None
    """Pixels; None where only building it tells (timm)."""
    shape: CnnShape | ResNetShape | None
    """Layer widths and depths; None for timm."""

    def multiply_adds(self, image_size: int, channels: int = 3) -> int | None:
        """Multiply-adds of one image's forward pass, convolutions and dense layers; None where unknown."""
        return None if self.shape is None else self.shape.multiply_adds(image_size, channels)


CNN_SHAPES: Mapping[str, CnnShape] = {
    "cnn2-32x64": CnnShape(widths=(32, 64), dense=(128,)),
    "cnn4-32x256": CnnShape(widths=(32, 64, 128, 256), dense=(512,)),
    "cnn4-64x512": CnnShape(widths=(64, 128, 256, 512), dense=(512, 256)),
}
RESNET_SHAPES: Mapping[str, ResNetShape] = {
    "resnet18": ResNetShape(blocks=(2, 2, 2, 2), is_bottleneck=False),
    "resnet34": ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=False),
    "resnet50": ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=True),
}
NUM_TIMM_STAGES = 4


def architecture_names() -> tuple[str, ...]:
    """The names of our own and of torchvision's architectures; timm's are `timm/` and one of `timm_names()`."""
    return (*CNN_SHAPES, *RESNET_SHAPES)


def find_architecture(name: str) -> Architecture:
    """The architecture called `name`; a timm name may carry a tag of weights (`timm/resnet18.a1_in1k`).

    Raises RecipeError for an unknown name.
    """
    if name in CNN_SHAPES:
        shape = CNN_SHAPES[name]
        depth = len(shape.widths)
        return Architecture(name=name, num_stages=depth, has_imagenet_weights=False, smallest_image_size=max(2**depth, 8), shape=shape)
    if name in RESNET_SHAPES:
        return Architecture(name=name, num_stages=4, has_imagenet_weights=True, smallest_image_size=16, shape=RESNET_SHAPES[name])
    if name.startswith(TIMM_PREFIX) and timm_name(name).split(".")[0] in timm_names():
        return Architecture(name=name, num_stages=NUM_TIMM_STAGES, has_imagenet_weights=None, smallest_image_size=None, shape=None)
    raise RecipeError(_unknown(name))


def check_recipe(recipe: Recipe) -> None:
    """Raises RecipeError where the recipe asks of its architecture what it cannot do: size, freeze depth, weights."""
    architecture = find_architecture(recipe.model.architecture)
    check_image_size(architecture, recipe.data.image_size)
    check_weights(architecture, recipe.model)
    for number, phase in enumerate(recipe.phases, start=1):
        if phase.freeze_depth > architecture.num_stages:
            raise RecipeError(
                f"freeze_depth of {architecture.name} must lie in [0, {architecture.num_stages}], its number of stages; "
                f"got {phase.freeze_depth} in phase {number} ({architecture.num_stages} leaves the head alone trainable)"
            )


def check_image_size(architecture: Architecture, image_size: int) -> None:
    """Raises RecipeError if the images are too small for the network's pooling."""
    smallest = architecture.smallest_image_size
    if smallest is not None and image_size < smallest:
        raise RecipeError(f"{architecture.name} needs image_size >= {smallest}, got {image_size}; raise image_size or take cnn2-32x64")


def check_weights(architecture: Architecture, model: Model) -> None:
    """Raises RecipeError if ImageNet weights are asked of an architecture that has none."""
    if model.weights == "imagenet" and architecture.has_imagenet_weights is False:
        raise RecipeError(
            f"{architecture.name} has no weights 'imagenet'; use 'none', the path of a state dict, or {', '.join(RESNET_SHAPES)}"
        )


def timm_name(architecture_name: str) -> str:
    """The name timm knows a `timm/NAME` by."""
    return architecture_name.removeprefix(TIMM_PREFIX)


def _unknown(name: str) -> str:
    bare = timm_name(name).split(".")[0]
    known = [*architecture_names(), *(TIMM_PREFIX + known_name for known_name in timm_names())]
    close = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(TIMM_PREFIX + bare, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown architecture {name!r}; known: {', '.join(architecture_names())}, and {TIMM_PREFIX}NAME for any model of timm{hint}"
