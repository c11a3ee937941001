"""From a point of a search space to a recipe: the one place where dimension names meet recipe fields."""

from collections.abc import Iterable, Mapping

from search_spaces.dimensions import Value
from search_spaces.errors import UnknownNameError
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError
from trainables.models.catalogue import check_recipe, find_architecture
from trainables.recipe.tree import Recipe

DEFAULTS: Mapping[str, Value] = {
    "architecture": "cnn4-32x256",
    "weights": "none",
    "normalisation": "dataset",
    "fine_tuning": "direct",
    "probe_fraction": 0.2,
    "freeze_depth": 0,
    "batch_norm": "eval_frozen",
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "cosine",
    "warmup_fraction": 0.0,
    "step_epochs": 10,
    "step_factor": 0.1,
    "batch_size": 64,
    "class_weight_power": 0.0,
    "label_smoothing": 0.0,
    "augmentation_strength": 0.0,
    "rotation_degrees": 35.0,
    "shift_fraction": 0.25,
    "shear_degrees": 10.0,
    "zoom_fraction": 0.4,
    "zoom_axes": "together",
    "brightness_fraction": 0.5,
    "flip_probability": 0.0,
    "fill": "zeros",
    "dropout": 0.0,
}
"""Value of each dimension where a point does not name it."""

WITHOUT_DEFAULT = ("image_size", "class_weight_cap")
"""Dimensions that follow from the dataset (its own side), or are absent, where a point does not name them."""


def check_names(names: Iterable[str]) -> None:
    """Raises UnknownNameError for a name that no recipe field has."""
    known = (*DEFAULTS, *WITHOUT_DEFAULT)
    for name in names:
        if name not in known:
            raise UnknownNameError("dimension", name, known)


def build_recipe(point: Mapping[str, Value], *, dataset: Manifest, epochs: int, seed: int) -> Recipe:
    """The recipe of `point` on a dataset, for `epochs` epochs in all.

    Raises UnknownNameError for a dimension that does not exist, RecipeError for values that no training can follow.
    """
    check_names(point)
    values = {**DEFAULTS, **point}
    architecture = find_architecture(str(values["architecture"]))
    side = values.get("image_size", max(dataset.height, dataset.width, architecture.smallest_image_size or 1))
    recipe = Recipe.from_dict(
        {
            "data": {"image_size": side, "normalisation": values["normalisation"]},
            "model": _named(values, "architecture", "weights", "dropout", "batch_norm"),
            "phases": _phases(values, epochs, architecture.num_stages),
            "optimizer": {"kind": values["optimizer"], **_named(values, "weight_decay", "momentum")},
            "loss": _named(values, "label_smoothing", "class_weight_power", "class_weight_cap"),
            "augmentation": {"strength": values["augmentation_strength"], **_named(values, *_AUGMENTATION)},
            "batch_size": values["batch_size"],
            "seed": seed,
        }
    )
    check_recipe(recipe)
    return recipe


_AUGMENTATION = (
    "rotation_degrees",
    "shift_fraction",
    "shear_degrees",
    "zoom_fraction",
    "zoom_axes",
    "brightness_fraction",
    "flip_probability",
    "fill",
)


def _phases(values: Mapping[str, Value], epochs: int, num_stages: int) -> list[dict[str, object]]:
    """One phase, or (lp_ft) the head alone first and then the rest; the probe takes at least one epoch and leaves at least one."""
    if values["fine_tuning"] not in ("direct", "lp_ft"):
        raise RecipeError(f"fine_tuning must be direct or lp_ft, got {values['fine_tuning']!r}")
    phase = _named(values, "learning_rate", "schedule", "warmup_fraction", "step_epochs", "step_factor", "freeze_depth")
    if values["fine_tuning"] == "direct" or epochs < 2:
        return [{**phase, "epochs": epochs}]
    probe = min(max(round(float(values["probe_fraction"]) * epochs), 1), epochs - 1)
    return [{**phase, "epochs": probe, "freeze_depth": num_stages}, {**phase, "epochs": epochs - probe}]


def _named(values: Mapping[str, Value], *names: str) -> dict[str, object]:
    return {name: values.get(name) for name in names}
