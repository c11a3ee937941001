"""The architectures by name: what a recipe may ask for, known without importing torch."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.errors import RecipeError
from trainables.models.multiply_adds import CnnShape, PyramidShape, ResNetShape
from trainables.models.timm_names import timm_names
from trainables.recipe.model import Head, Model
from trainables.recipe.phase import Phase
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
    takes_drop_path: bool | None
    """None where only building it tells (timm)."""
    shape: CnnShape | ResNetShape | PyramidShape | None
    """Layer widths and depths; None for timm."""

    @property
    def is_plain(self) -> bool:
        """Whether it is one of our own CNNs: with dense layers of its own, for any number of channels, without residual blocks."""
        return isinstance(self.shape, CnnShape)

    def multiply_adds(self, image_size: int, channels: int = 3) -> int | None:
        """Multiply-adds of one image's forward pass, convolutions and dense layers; None where unknown."""
        return None if self.shape is None else self.shape.multiply_adds(image_size, channels)


CNN_SHAPES: Mapping[str, CnnShape] = {
    "cnn2-32x64": CnnShape(widths=(32, 64), dense=(128,)),
    "cnn4-32x64": CnnShape(
        widths=(32, 64),
        dense=(512,),
        num_convolutions=2,
        kernels=(5, 3),
        has_batch_norm=False,
        has_dense_batch_norm=True,
        pool_dropout=0.5,
    ),
    "cnn4-32x256": CnnShape(widths=(32, 64, 128, 256), dense=(512,)),
    "cnn4-64x512": CnnShape(widths=(64, 128, 256, 512), dense=(512, 256)),
    # Khaireddin and Chen 2021, arXiv:2105.03588
    "vgg8-64x512": CnnShape(widths=(64, 128, 256, 512), dense=(4096, 4096), num_convolutions=2),
}
RESNET_SHAPES: Mapping[str, ResNetShape] = {
    "resnet18": ResNetShape(blocks=(2, 2, 2, 2), is_bottleneck=False),
    "resnet18-3x3": ResNetShape(blocks=(2, 2, 2, 2), is_bottleneck=False, has_small_stem=True),
    "resnet34": ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=False),
    "resnet50": ResNetShape(blocks=(3, 4, 6, 3), is_bottleneck=True),
}
PYRAMID_SHAPES: Mapping[str, PyramidShape] = {
    "efficientnet_b3": PyramidShape(
        stem_halvings=1, stem_weights=360, by_halvings=(5_568, 40_080, 97_536, 1_721_760, 6_863_184), pooled=1_859_648
    ),
    "mobilenet_v3_small": PyramidShape(
        stem_halvings=1, stem_weights=144, by_halvings=(0, 1_552, 9_696, 101_448, 340_128), pooled=1_048_576
    ),
    "convnext_tiny": PyramidShape(
        stem_halvings=2, stem_weights=1_536, by_halvings=(0, 235_296, 986_688, 11_081_088, 15_448_320), is_rounded_down=True
    ),
}
SMALLEST_PYRAMID_SIZE = 32  # the side is halved five times
WITHOUT_DROP_PATH = ("mobilenet_v3_small",)  # torchvision's has none
NUM_LIBRARY_STAGES = 4


def architecture_names() -> tuple[str, ...]:
    """The names of our own and of torchvision's architectures; timm's are `timm/` and one of `timm_names()`."""
    return (*CNN_SHAPES, *RESNET_SHAPES, *PYRAMID_SHAPES)


def find_architecture(name: str) -> Architecture:
    """The architecture called `name`; a timm name may carry a tag of weights (`timm/resnet18.a1_in1k`).

    Raises RecipeError for an unknown name.
    """
    if name in CNN_SHAPES:
        return _cnn(name, CNN_SHAPES[name])
    if name in RESNET_SHAPES or name in PYRAMID_SHAPES:
        return _torchvision(name)
    if name.startswith(TIMM_PREFIX) and timm_name(name).split(".")[0] in timm_names():
        return Architecture(
            name=name,
            num_stages=NUM_LIBRARY_STAGES,
            has_imagenet_weights=None,
            smallest_image_size=None,
            takes_drop_path=None,
            shape=None,
        )
    raise RecipeError(_unknown(name))


def check_recipe(recipe: Recipe) -> None:
    """Raises RecipeError where the recipe asks of its architecture what it cannot do: size, freezing, weights, head, adapter."""
    architecture = find_architecture(recipe.model.architecture)
    check_image_size(architecture, recipe.data.image_size)
    check_weights(architecture, recipe.model)
    _check_parts(architecture, recipe.model)
    for number, phase in enumerate(recipe.phases, start=1):
        _check_stages(architecture, phase, number)


def check_branches(head: Head, classes: Sequence[str]) -> None:
    """Raises RecipeError if a branch of the head is named after no class of the dataset."""
    for branch in head.branches:
        if branch not in classes:
            close = difflib.get_close_matches(branch, classes, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RecipeError(f"branches must name classes of the dataset, got {branch!r}; its classes: {', '.join(classes)}{hint}")


def check_image_size(architecture: Architecture, image_size: int) -> None:
    """Raises RecipeError if the images are too small for the network's pooling."""
    smallest = architecture.smallest_image_size
    if smallest is not None and image_size < smallest:
        raise RecipeError(f"{architecture.name} needs image_size >= {smallest}, got {image_size}; raise image_size or take cnn2-32x64")


def check_weights(architecture: Architecture, model: Model) -> None:
    """Raises RecipeError if ImageNet weights are asked of an architecture that has none."""
    if model.weights == "imagenet" and architecture.has_imagenet_weights is False:
        with_weights = [name for name in architecture_names() if find_architecture(name).has_imagenet_weights]
        raise RecipeError(
            f"{architecture.name} has no weights 'imagenet'; use 'none', the path of a state dict, or {', '.join(with_weights)}"
        )


def timm_name(architecture_name: str) -> str:
    """The name timm knows a `timm/NAME` by."""
    return architecture_name.removeprefix(TIMM_PREFIX)


def _cnn(name: str, shape: CnnShape) -> Architecture:
    depth = len(shape.widths)
    return Architecture(
        name=name,
        num_stages=depth,
        has_imagenet_weights=False,
        smallest_image_size=max(2**depth, 8),
        takes_drop_path=False,
        shape=shape,
    )


def _torchvision(name: str) -> Architecture:
    shape = RESNET_SHAPES.get(name) or PYRAMID_SHAPES[name]
    return Architecture(
        name=name,
        num_stages=NUM_LIBRARY_STAGES,
        has_imagenet_weights=not (isinstance(shape, ResNetShape) and shape.has_small_stem),
        smallest_image_size=16 if isinstance(shape, ResNetShape) else SMALLEST_PYRAMID_SIZE,
        takes_drop_path=name not in WITHOUT_DROP_PATH,
        shape=shape,
    )


def _check_parts(architecture: Architecture, model: Model) -> None:
    name = architecture.name
    if architecture.is_plain and model.head.kind != "linear":
        raise RecipeError(
            f"head of {name} must be 'linear', as it has dense layers of its own; got {model.head.kind!r}: "
            "take 'linear', or another architecture, such as resnet18"
        )
    if architecture.is_plain and model.gray_adapter != "sum":
        raise RecipeError(
            f"gray_adapter of {name} must be 'sum', as it takes any number of channels; got {model.gray_adapter!r}: "
            "take 'sum', or an architecture for colour images, such as resnet18"
        )
    if architecture.takes_drop_path is False and model.drop_path:
        raise RecipeError(
            f"drop_path of {name} must be 0, as it has no residual blocks that can be skipped; got {model.drop_path:g}: "
            "set drop_path to 0, or take an architecture that has them, such as resnet18"
        )


def _check_stages(architecture: Architecture, phase: Phase, number: int) -> None:
    most = architecture.num_stages
    if phase.freeze_depth > most:
        raise RecipeError(
            f"freeze_depth of {architecture.name} must lie in [0, {most}], its number of stages; "
            f"got {phase.freeze_depth} in phase {number} ({most} leaves the head alone trainable)"
        )
    if phase.range_end is not None and phase.range_end > most:
        raise RecipeError(
            f"range_end of {architecture.name} must lie in [1, {most}], its number of stages; "
            f"got {phase.range_end} in phase {number} (leave it out to train up to the head)"
        )


def _unknown(name: str) -> str:
    bare = timm_name(name).split(".")[0]
    known = [*architecture_names(), *(TIMM_PREFIX + known_name for known_name in timm_names())]
    close = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(TIMM_PREFIX + bare, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown architecture {name!r}; known: {', '.join(architecture_names())}, and {TIMM_PREFIX}NAME for any model of timm{hint}"
