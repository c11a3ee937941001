"""From a point of a search space to a recipe: the one place where dimension names meet recipe fields."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.dimensions import Value
from search_spaces.errors import UnknownNameError
from study.recipes.phases import PHASE_DEFAULTS, build_phases
from study.recipes.phases import WITHOUT_DEFAULT as PHASES_WITHOUT_DEFAULT
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError
from trainables.models.catalogue import check_branches, check_recipe, find_architecture
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.loss import Loss
from trainables.recipe.model import Head, Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.tree import Recipe

CLASS_WEIGHT = "class_weight."
"""What the dimension of one class's weight begins with: `class_weight.disgust`; classes without one weigh 1."""

_PLACES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "data": (Data, ()),
    "model": (Model, ()),
    "model.head": (Head, ("kind", "units")),
    "optimizer": (Optimizer, ("kind",)),
    "loss": (Loss, ("kind",)),
    "augmentation": (Augmentation, ("policy", "strength")),
    "augmentation.mixing": (Mixing, ("kind", "alpha", "probability", "off_fraction")),
    "evaluation": (Evaluation, ()),
}
"""Parts of a recipe, with the fields whose dimension's name begins with the part's: `head_kind`, `mixing_alpha`."""

_RENAMED = {"optimizer_kind": "optimizer", "loss_kind": "loss", "head_kind": "head", "mixing_kind": "mixing"}
_NO_DIMENSION = ("head", "mixing", "class_weights")
_OWN_DEFAULTS: Mapping[str, Value] = {"architecture": "cnn4-32x256", "weight_decay": 1e-4, "batch_size": 64}


def _fields() -> dict[str, tuple[str, Any]]:
    """Path in the recipe and default (None: absent) by dimension."""
    found: dict[str, tuple[str, Any]] = {"batch_size": ("batch_size", 64), "patience": ("patience", None)}
    for place, (part, prefixed) in _PLACES.items():
        for field in dataclasses.fields(part):
            if field.name in _NO_DIMENSION:
                continue
            name = f"{place.rsplit('.', 1)[-1]}_{field.name}" if field.name in prefixed else field.name
            default = None if field.default is dataclasses.MISSING else field.default
            found[_RENAMED.get(name, name)] = (f"{place}.{field.name}", default)
    return found


_FIELDS: Mapping[str, tuple[str, Any]] = _fields()

DEFAULTS: Mapping[str, Value] = {
    **{name: ",".join(default) if isinstance(default, tuple) else default for name, (_, default) in _FIELDS.items() if default is not None},
    **_OWN_DEFAULTS,
    **PHASE_DEFAULTS,
}
"""Value of each dimension where a point does not name it; a dimension that is not here is then absent."""

SWITCHES = ("averaging", "balancing")
"""Dimensions of no field of their own: others exist only at some of their values."""

NAMES: tuple[str, ...] = tuple(dict.fromkeys((*_FIELDS, *PHASE_DEFAULTS, *PHASES_WITHOUT_DEFAULT, *SWITCHES)))
"""Every dimension that a point may name, but those of class weights."""


def check_names(names: Iterable[str]) -> None:
    """Raises UnknownNameError for a name that no recipe field has."""
    for name in names:
        if name not in NAMES and not name.startswith(CLASS_WEIGHT):
            raise UnknownNameError("dimension", name, (*NAMES, f"{CLASS_WEIGHT}NAME"))


def build_recipe(point: Mapping[str, Value], *, dataset: Manifest, epochs: int, seed: int) -> Recipe:
    """The recipe of `point` on a dataset, for `epochs` epochs in all.

    Raises UnknownNameError for a dimension that does not exist, RecipeError for values that no training can follow.
    """
    check_names(point)
    architecture = find_architecture(str(point.get("architecture", DEFAULTS["architecture"])))
    tree: dict[str, Any] = {"phases": build_phases(point, epochs, architecture.num_stages), "seed": seed}
    for name, (path, default) in _FIELDS.items():
        _put(tree, path, point.get(name, DEFAULTS.get(name, default)))
    if tree["data"]["image_size"] is None:
        tree["data"]["image_size"] = max(dataset.height, dataset.width, architecture.smallest_image_size or 1)
    _check_num_images(point, dataset)
    _check_averaging(point)
    tree["loss"]["class_weights"] = _class_weights(point, dataset)
    branches = tree["model"]["head"]["branches"]
    tree["model"]["head"]["branches"] = [name.strip() for name in str(branches or "").split(",") if name.strip()]
    recipe = Recipe.from_dict(tree)
    check_recipe(recipe)
    check_branches(recipe.model.head, dataset.classes)
    return recipe


def _put(tree: dict[str, Any], path: str, value: Value | None) -> None:
    *parts, last = path.split(".")
    for part in parts:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _check_num_images(point: Mapping[str, Value], dataset: Manifest) -> None:
    wanted, num_images = point.get("train_images"), dataset.splits["train"].num_images
    if isinstance(wanted, int) and wanted > num_images:
        raise RecipeError(f"train_images must be at most {num_images}, the training images of {dataset.name!r}, got {wanted}")


def _check_averaging(point: Mapping[str, Value]) -> None:
    if "averaging" in point and bool(point["averaging"]) != ("average_halflife" in point):
        raise RecipeError(
            f"averaging True and average_halflife go together, got averaging {point['averaging']} "
            f"{'with' if 'average_halflife' in point else 'without'} average_halflife; set average_halflife alone, or neither"
        )


def _class_weights(point: Mapping[str, Value], dataset: Manifest) -> dict[str, Value] | None:
    given = {name.removeprefix(CLASS_WEIGHT): value for name, value in point.items() if name.startswith(CLASS_WEIGHT)}
    if unknown := sorted(set(given) - set(dataset.classes)):
        raise RecipeError(
            f"{CLASS_WEIGHT}{unknown[0]} names no class of dataset {dataset.name!r}; its classes: {', '.join(dataset.classes)}"
        )
    return {name: given.get(name, 1.0) for name in dataset.classes} if given else None


def path_in_recipe(name: str) -> str | None:
    """The path of the field that a dimension sets, such as `model.head.units`; None for one of phases, and for a switch."""
    return _FIELDS[name][0] if name in _FIELDS else None
