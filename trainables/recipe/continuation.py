"""What of a recipe may change while a training goes on: the one place that says so."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainables.recipe.tree import Recipe

MAY_CHANGE: Mapping[str, tuple[str, ...]] = {
    "data": ("sampler_power",),
    "model": ("dropout", "drop_path"),
    "phases": ("learning_rate", "head_multiplier", "layer_decay", "final_ratio", "step_factor"),
    "optimizer": ("weight_decay", "momentum", "second_moment", "clip_at", "average_halflife"),
    "loss": (
        "label_smoothing",
        "focal_gamma",
        "ldam_margin",
        "ldam_scale",
        "adjustment",
        "class_weight_power",
        "effective_beta",
        "class_weights",
        "class_weight_cap",
    ),
    "augmentation": (
        "strength",
        "rare_class_power",
        "rotation_degrees",
        "shift_fraction",
        "shear_degrees",
        "zoom_fraction",
        "brightness_fraction",
        "contrast_fraction",
        "erase_probability",
        "flip_probability",
        "rand_operations",
        "rand_magnitude",
    ),
    "augmentation.mixing": ("alpha", "probability"),
}
"""Fields by part of the recipe: how far, how strongly or how often a step does what it does. Nothing of a training's state is made of them.

All others stay. Layers and the optimizer's kind are what the state consists of; what trains when, and where a schedule turns, is what the
epochs done count towards; a batch was found to fit into memory; and values of before and after compare only where the network sees the
same images and is asked the same way.
"""


def lasting(recipe: Recipe) -> dict[str, Any]:
    """All of a recipe but its seed and what may change, of which it says whether it is there at all.

    A training can go on under another recipe where this is equal.
    """
    tree = recipe.to_dict()
    del tree["seed"]
    for part, fields in MAY_CHANGE.items():
        for branch in _branches(tree, part):
            for name in fields:
                branch[name] = branch[name] is not None
    return tree


def _branches(tree: Any, part: str) -> Iterator[dict[str, Any]]:
    """The mappings at a path; each of them where a list lies there."""
    for name in part.split("."):
        tree = tree[name]
    yield from tree if isinstance(tree, list) else [tree]
