"""From a point of a search space to a recipe: the one place where dimension names meet recipe fields."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_type_hints

from search_spaces.dimensions import Value
from search_spaces.errors import UnknownNameError
from study.recipes.phases import PHASE_DEFAULTS, PHASE_NAMES, build_phases, check_phase_value
from trainables.datasets.manifest import Manifest
from trainables.errors import FieldError, RecipeError
from trainables.models.catalogue import check_branches, check_recipe, find_architecture
from trainables.recipe.fields import rules_of
from trainables.recipe.phase import Phase
from trainables.recipe.serialization import built
from trainables.recipe.tree import Recipe

CLASS_WEIGHT = "class_weight."
"""What the dimension of one class's weight begins with: `class_weight.disgust`; classes without one weigh
1."""

_NAMED_OTHERWISE: Mapping[str, str] = {
    "optimizer.kind": "optimizer",
    "loss.kind": "loss",
    "model.head.kind": "head",
    "model.head.units": "head_units",
    "augmentation.policy": "augmentation_policy",
    "augmentation.strength": "augmentation_strength",
    "augmentation.mixing.kind": "mixing",
    "augmentation.mixing.alpha": "mixing_alpha",
    "augmentation.mixing.probability": "mixing_probability",
    "augmentation.mixing.off_fraction": "mixing_off_fraction",
}
"""The dimensions of fields, by their path in a recipe, whose own name would say too little; all others are
called as their field."""

_NO_DIMENSION = ("phases", "seed", "loss.class_weights")
_OWN_DEFAULTS: Mapping[str, Value] = {"architecture": "cnn4-32x256", "weight_decay": 1e-4}
"""Where a study's default is another than the recipe's, or the recipe has none."""


def _fields(part: type, place: str = "") -> Iterator[tuple[str, Any]]:
    """The path of each field of a recipe that a dimension sets, and its default (None: absent)."""
    hints = get_type_hints(part)
    for field in dataclasses.fields(part):
        path = place + field.name
        if path in _NO_DIMENSION:
            continue
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name], f"{path}.")
        else:
            yield path, None if field.default is dataclasses.MISSING else field.default


def _by_dimension() -> Mapping[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for path, default in _fields(Recipe):
        name = _NAMED_OTHERWISE.get(path, path.rpartition(".")[2])
        assert name not in {*found, *PHASE_NAMES}, f"two fields would be dimension {name}: name one otherwise"
        found[name] = path, default
    return found


_FIELDS = _by_dimension()
"""Path in the recipe and default (None: absent) by dimension."""

_DIMENSIONS: Mapping[str, str] = {path: name for name, (path, _) in _FIELDS.items()}

CUSTOMARY_SIZE = 224
"""Pixels: the side of the images that most published networks were trained on."""
DEFAULTS: Mapping[str, Value] = {
    **{
        name: ",".join(default) if isinstance(default, tuple) else default
        for name, (_, default) in _FIELDS.items()
        if default is not None
    },
    **_OWN_DEFAULTS,
    **PHASE_DEFAULTS,
}
"""Value of each dimension where a point does not name it; a dimension that is not here is then absent."""

SWITCHES = ("averaging", "balancing")
"""Dimensions of no field of their own: others exist only at some of their values."""

NAMES: tuple[str, ...] = (*_FIELDS, *PHASE_NAMES, *SWITCHES)
"""Every dimension that a point may name, but those of class weights."""


def check_names(names: Iterable[str]) -> None:
    """Raises UnknownNameError for a name that no recipe field has."""
    for name in names:
        if name not in NAMES and not name.startswith(CLASS_WEIGHT):
            raise UnknownNameError("dimension", name, (*NAMES, f"{CLASS_WEIGHT}NAME"))


def check_value(name: str, value: Value) -> None:
    """Raises RecipeError for a value that the dimension can have in no recipe, whatever else is in it."""
    check_phase_value(name, value)
    owner = _owner(name)
    if owner is None or name == "branches":  # written as one text, and a list in the recipe
        return
    part, field = owner
    found = built(get_type_hints(part)[field], value, name)
    for rule in rules_of(part)[field]:
        if not rule.holds(found):
            raise FieldError(name, f"{rule}, got {value!r}")


def _owner(name: str) -> tuple[type, str] | None:
    """The part of a recipe with the field that a dimension sets, and the field's name."""
    if name in {field.name for field in dataclasses.fields(Phase)}:
        return Phase, name
    if name not in _FIELDS:
        return None
    *places, field = _FIELDS[name][0].split(".")
    part: type = Recipe
    for place in places:
        part = get_type_hints(part)[place]
    return part, field


def default_image_size(dataset: Manifest) -> int:
    """The larger side of the dataset's images; of images at their own sizes, at most what networks are
    trained on by custom.
    """
    larger = max(dataset.height, dataset.width)
    return min(larger, CUSTOMARY_SIZE) if dataset.is_encoded else larger


def build_recipe(point: Mapping[str, Value], *, dataset: Manifest, epochs: int, seed: int) -> Recipe:
    """The recipe of `point` on a dataset, for `epochs` epochs in all.

    Raises UnknownNameError for a dimension that does not exist, RecipeError for values that no training can
    follow.
    """
    check_names(point)
    architecture = find_architecture(str(point.get("architecture", DEFAULTS["architecture"])))
    tree: dict[str, Any] = {"phases": build_phases(point, epochs, architecture.num_stages), "seed": seed}
    for name, (path, default) in _FIELDS.items():
        _put(tree, path, point.get(name, DEFAULTS.get(name, default)))
    if tree["data"]["image_size"] is None:
        tree["data"]["image_size"] = max(default_image_size(dataset), architecture.smallest_image_size or 1)
    _check_num_images(point, dataset)
    _check_averaging(point)
    tree["loss"]["class_weights"] = _class_weights(point, dataset)
    branches = tree["model"]["head"]["branches"]
    tree["model"]["head"]["branches"] = [
        name.strip() for name in str(branches or "").split(",") if name.strip()
    ]
    try:
        recipe = Recipe.from_dict(tree)
    except FieldError as error:
        raise error.named(_dimension(error.field)) from None
    check_recipe(recipe)
    check_branches(recipe.model.head, dataset.classes)
    dataset.check_crop(recipe.data.smallest_crop)
    return recipe


def _dimension(field: str) -> str:
    """What a person calls the field of a recipe at a path."""
    path = field.removeprefix("recipe.")
    if weight := re.fullmatch(r"loss\.class_weights\['(.*)'\]", path):
        return CLASS_WEIGHT + weight[1]
    return _DIMENSIONS.get(path, path.rpartition(".")[2])


def _put(tree: dict[str, Any], path: str, value: Value | None) -> None:
    *parts, last = path.split(".")
    for part in parts:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _check_num_images(point: Mapping[str, Value], dataset: Manifest) -> None:
    wanted, num_images = point.get("train_images"), dataset.splits["train"].num_images
    if isinstance(wanted, int) and wanted > num_images:
        raise RecipeError(
            f"train_images must be at most {num_images}, the training images of {dataset.name!r}, got "
            f"{wanted}"
        )


def _check_averaging(point: Mapping[str, Value]) -> None:
    if "averaging" in point and bool(point["averaging"]) != ("average_halflife" in point):
        raise RecipeError(
            f"averaging True and average_halflife go together, got averaging {point['averaging']} "
            f"{'with' if 'average_halflife' in point else 'without'} average_halflife; set average_halflife "
            "alone, or neither"
        )


def _class_weights(point: Mapping[str, Value], dataset: Manifest) -> dict[str, Value] | None:
    given = {
        name.removeprefix(CLASS_WEIGHT): value
        for name, value in point.items()
        if name.startswith(CLASS_WEIGHT)
    }
    if unknown := sorted(set(given) - set(dataset.classes)):
        raise RecipeError(
            f"{CLASS_WEIGHT}{unknown[0]} names no class of dataset {dataset.name!r}; its classes: "
            f"{', '.join(dataset.classes)}"
        )
    return {name: given.get(name, 1.0) for name in dataset.classes} if given else None


def path_in_recipe(name: str) -> str | None:
    """The path of the field that a dimension sets, such as `model.head.units`; None for one of phases, and
    for a switch.
    """
    return _FIELDS[name][0] if name in _FIELDS else None
