"""The architectures by name: what a recipe may ask for, known without importing torch."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache

from trainables.errors import RecipeError
from trainables.models import architectures
from trainables.models.architectures.architecture import Architecture
from trainables.models.timm_names import timm_names
from trainables.recipe.model import Head, Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.suggestions import did_you_mean

TIMM_PREFIX = "timm/"
NUM_TIMM_STAGES = 4


def architecture_names() -> tuple[str, ...]:
    """The names of our own and of torchvision's architectures; timm's are `timm/` and one of
    `timm_names()`.
    """
    return tuple(_architectures())


def find_architecture(name: str) -> Architecture:
    """The architecture called `name`; a timm name may carry a tag of weights (`timm/resnet18.a1_in1k`).

    Raises RecipeError for an unknown name.
    """
    if name in _architectures():
        return _architectures()[name]
    if name.startswith(TIMM_PREFIX) and timm_name(name).split(".")[0] in timm_names():
        return Architecture(
            name=name,
            builder="trainables.models.timm_models",
            num_stages=NUM_TIMM_STAGES,
            smallest_image_size=None,
            takes_drop_path=None,
            has_batch_norm=None,
            shape=None,
        )
    raise RecipeError(_unknown(name))


def check_recipe(recipe: Recipe) -> None:
    """Raises RecipeError where the recipe asks of its architecture what it cannot do: size, freezing,
    weights, head, adapter.
    """
    architecture = find_architecture(recipe.model.architecture)
    check_image_size(architecture, recipe.data.image_size)
    check_weights(architecture, recipe.model)
    _check_parts(architecture, recipe.model)
    _check_batch(architecture, recipe)
    for number, phase in enumerate(recipe.phases, start=1):
        _check_stages(architecture, phase, number)


def check_branches(head: Head, classes: Sequence[str]) -> None:
    """Raises RecipeError if a branch of the head is named after no class of the dataset."""
    for branch in head.branches:
        if branch not in classes:
            hint = did_you_mean(branch, classes)
            raise RecipeError(
                f"branches must name classes of the dataset, got {branch!r}; its classes: "
                f"{', '.join(classes)}{hint}"
            )


def check_image_size(architecture: Architecture, image_size: int) -> None:
    """Raises RecipeError if the images are too small for the network's pooling."""
    smallest = architecture.smallest_image_size
    if smallest is not None and image_size < smallest:
        raise RecipeError(
            f"{architecture.name} needs image_size >= {smallest}, got {image_size}; raise image_size or take "
            "cnn2-32x64"
        )


def check_weights(architecture: Architecture, model: Model) -> None:
    """Raises RecipeError if ImageNet weights are asked of an architecture that has none."""
    if model.weights == "imagenet" and architecture.has_imagenet_weights is False:
        with_weights = [name for name in architecture_names() if find_architecture(name).has_imagenet_weights]
        raise RecipeError(
            f"{architecture.name} has no weights 'imagenet'; use 'none', the path of a state dict, or "
            f"{', '.join(with_weights)}"
        )


def timm_name(architecture_name: str) -> str:
    """The name timm knows a `timm/NAME` by."""
    return architecture_name.removeprefix(TIMM_PREFIX)


@cache
def _architectures() -> Mapping[str, Architecture]:
    """By name: those of each family."""
    names = sorted(found.name for found in pkgutil.iter_modules(architectures.__path__))
    families = (name for name in names if name.endswith("_family"))
    modules = (importlib.import_module(f"{architectures.__name__}.{family}") for family in families)
    return {architecture.name: architecture for module in modules for architecture in module.ARCHITECTURES}


def _check_parts(architecture: Architecture, model: Model) -> None:
    name = architecture.name
    if architecture.is_plain and model.head.kind != "linear":
        raise RecipeError(
            f"head of {name} must be 'linear', as it has dense layers of its own; got {model.head.kind!r}: "
            "take 'linear', or another architecture, such as resnet18"
        )
    if architecture.is_plain and model.gray_adapter != "sum":
        raise RecipeError(
            f"gray_adapter of {name} must be 'sum', as it takes any number of channels; got "
            f"{model.gray_adapter!r}: "
            "take 'sum', or an architecture for colour images, such as resnet18"
        )
    if architecture.takes_drop_path is False and model.drop_path:
        raise RecipeError(
            f"drop_path of {name} must be 0, as it has no residual blocks that can be skipped; got "
            f"{model.drop_path:g}: "
            "set drop_path to 0, or take an architecture that has them, such as resnet18"
        )


def _check_batch(architecture: Architecture, recipe: Recipe) -> None:
    if recipe.batch_size == 1 and architecture.has_batch_norm and recipe.model.batch_norm != "eval_all":
        raise RecipeError(
            f"batch_size of {architecture.name} must be at least 2, as it has BatchNorm, which cannot train "
            "on a single image; got 1: raise batch_size, or set batch_norm to eval_all"
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


@cache
def _unknown(name: str) -> str:
    # A space has hundreds of points with the same name, and timm more than a thousand names to compare with.
    bare = timm_name(name).split(".")[0]
    known = [*architecture_names(), *(TIMM_PREFIX + known_name for known_name in timm_names())]
    hint = did_you_mean(name, known) or did_you_mean(TIMM_PREFIX + bare, known)
    return (
        f"unknown architecture {name!r}; known: {', '.join(architecture_names())}, and {TIMM_PREFIX}NAME for "
        f"any model of timm{hint}"
    )
