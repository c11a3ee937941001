"""What a recipe's fields refuse, under the name that a person gave the field; and that each of their options
is one of its own.
"""

import dataclasses
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from study.recipes.point import build_recipe
from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Manifest, SplitSummary
from trainables.errors import FieldError, RecipeError
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")
SMALL: Mapping[str, Any] = {
    "data": {"image_size": 16},
    "model": {"architecture": "cnn2-32x64"},
    "phases": [{"epochs": 2, "learning_rate": 1e-3}],
    "batch_size": 16,
}
IN_A_POINT = {
    "optimizer.kind": "optimizer",
    "loss.kind": "loss",
    "model.head.kind": "head",
    "augmentation.mixing.kind": "mixing",
    "augmentation.policy": "augmentation_policy",
    "model.batch_norm": "batch_norm",
    "phases[0].schedule": "schedule",
}
TRAINED_APART: Mapping[str, Mapping[str, Any]] = {
    "data.normalisation": {"data": {"pixel_mean": None, "pixel_std": None}},
    "model.head.kind": {"model": {"architecture": "resnet18"}},
    "model.head.attention": {"model": {"architecture": "resnet18", "head": {"kind": "hybrid"}}},
    "model.batch_norm": {"phases": [{"epochs": 2, "learning_rate": 1e-3, "freeze_depth": 1}]},
    "model.gray_adapter": {"model": {"architecture": "resnet18"}},
    "phases[0].schedule": {
        "phases": [
            {"epochs": 4, "learning_rate": 1e-3, "step_epochs": 1, "step_factor": 0.5, "plateau_epochs": 1}
        ]
    },
    "optimizer.kind": {"optimizer": {"weight_decay": 0.1}},
    "optimizer.gradient_clip": {"optimizer": {"clip_at": 0.01}},
    "loss.kind": {},
    "loss.weight_normalisation": {"loss": {"class_weight_power": 1.0}},
    "augmentation.policy": {"augmentation": {"strength": 0.5}},
    "augmentation.zoom_axes": {"augmentation": {"strength": 1.0}},
    "augmentation.fill": {"augmentation": {"strength": 1.0}},
    "augmentation.mixing.kind": {},
    "evaluation.views": {"data": {"crop_margin": 4}},
}
"""In what recipe each field's options come to other numbers."""
ONLY_AFTER_TRAINING = {"evaluation.calibration"}


def options(part: type = Recipe, place: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """The path and the options of each field that has some."""
    for name, hint in get_type_hints(part).items():
        if get_origin(hint) is tuple and isinstance(get_args(hint)[0], type) and get_args(hint)[0] is not str:
            yield from options(get_args(hint)[0], f"{place}{name}[0].")
        elif get_origin(hint) is Literal:
            yield place + name, get_args(hint)
        elif isinstance(hint, type) and hint.__module__.startswith("trainables."):
            yield from options(hint, f"{place}{name}.")


OPTIONS = dict(options())


def manifest_of(dataset: Dataset) -> Manifest:
    counts = SplitSummary(num_images=len(dataset.train), num_by_class=(1,) * 3, digest="", origin="given")
    return dataclasses.replace(dataset.manifest, splits={"train": counts})


def with_value(tree: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """The recipe's tree with a value at a path."""
    name, _, rest = path.partition(".")
    if name.endswith("[0]"):
        return {**tree, name[:-3]: [with_value(tree[name[:-3]][0], rest, value)]}
    return {**tree, name: with_value(tree.get(name, {}), rest, value) if rest else value}


def merged(tree: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **tree,
        **{
            key: {**tree.get(key, {}), **value} if isinstance(value, dict) else value
            for key, value in more.items()
        },
    }


@pytest.mark.parametrize("path", OPTIONS)
def test_a_word_that_is_no_option_is_answered_with_the_options_where_it_was_written(path):
    with pytest.raises(RecipeError) as raised:
        Recipe.from_dict(with_value(SMALL, path, "rmsprop"))
    assert str(raised.value) == f"recipe.{path} must be one of {', '.join(OPTIONS[path])}, got 'rmsprop'"


@pytest.mark.parametrize(("path", "dimension"), IN_A_POINT.items())
def test_in_a_study_it_is_told_under_the_name_of_the_dimension(make_dataset, path, dimension):
    with pytest.raises(RecipeError) as raised:
        build_recipe({dimension: "rmsprop"}, dataset=manifest_of(make_dataset()), epochs=1, seed=0)
    assert str(raised.value) == f"{dimension} must be one of {', '.join(OPTIONS[path])}, got 'rmsprop'"


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"head_units": 0}, "head_units must lie in [1, 65536], got 0"),
        ({"augmentation_strength": 2.0}, "augmentation_strength must lie in [0, 1], got 2.0"),
        ({"mixing_alpha": 0.0}, "mixing_alpha must be above 0 and at most 1000, got 0.0"),
        ({"ldam_margin": 3.0}, "ldam_margin must be above 0 and at most 2, got 3.0"),
        ({"batch_size": "many"}, "batch_size must be a whole number, got 'many'"),
        ({"step_factor": "half"}, "step_factor must be a number, got 'half'"),
        ({"class_weight.left": -1.0}, "class_weight.left must be above 0 and at most 1e+06, got -1.0"),
    ],
)
def test_other_rules_name_the_dimension_too(make_dataset, point, message):
    manifest = manifest_of(make_dataset())
    with pytest.raises(RecipeError) as raised:
        build_recipe(point, dataset=manifest, epochs=1, seed=0)
    assert str(raised.value) == message


def test_an_error_of_a_field_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(FieldError("optimizer", "must be one of adam, adamw, got 'rmsprop'")))
    assert str(error) == "optimizer must be one of adam, adamw, got 'rmsprop'"


def test_every_field_with_options_has_a_recipe_in_which_they_differ():
    assert set(OPTIONS) == {*TRAINED_APART, *ONLY_AFTER_TRAINING}


@pytest.mark.parametrize("path", TRAINED_APART)
def test_no_option_is_another_one_in_silence(make_dataset, path):
    """An option that is listed and not built must not train as if it were another."""
    dataset = make_dataset(height=16, width=16, num_train=20, num_validation=10)
    tree = merged(SMALL, TRAINED_APART[path])
    seen: dict[str, str] = {}
    for option in OPTIONS[path]:
        recipe = with_value(tree, path, option)
        if option == "given":
            recipe = merged(recipe, {"data": {"pixel_mean": 0.4, "pixel_std": 0.3}})
        training = Training(Recipe.from_dict(recipe), dataset, device=CPU)
        epochs = [(epoch.learning_rate, epoch.train_loss, epoch.metrics.log_loss) for epoch in training]
        assert str(epochs) not in seen, f"{path} {option!r} trains as {seen.get(str(epochs))!r} does"
        seen[str(epochs)] = option
