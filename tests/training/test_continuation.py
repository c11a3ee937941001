"""A training that goes on under other values, as a copy in population-based training does: from there on they
count, and nothing else.
"""

import dataclasses
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from epochs import timeless

from trainables.errors import RecipeError
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.continuation import lasting
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.fields import changeable_fields
from trainables.recipe.loss import Loss
from trainables.recipe.model import Head, Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")
BEFORE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64", dropout=0.3),
    phases=(
        Phase(epochs=2, learning_rate=1e-3, freeze_depth=1),
        Phase(epochs=3, learning_rate=2e-3, schedule="constant"),
    ),
    optimizer=Optimizer(weight_decay=0.01, average_halflife=1.0),
    loss=Loss(label_smoothing=0.1, class_weight_power=0.5),
    augmentation=Augmentation(strength=0.3, flip_probability=0.5),
    batch_size=16,
    seed=1,
)
AFTER = dataclasses.replace(
    BEFORE,
    model=Model(architecture="cnn2-32x64", dropout=0.1),
    phases=(
        Phase(epochs=2, learning_rate=5e-3, freeze_depth=1, head_multiplier=2.0),
        Phase(epochs=3, learning_rate=7e-3, schedule="constant", head_multiplier=2.0),
    ),
    optimizer=Optimizer(weight_decay=0.2, momentum=0.8, average_halflife=0.5),
    loss=Loss(label_smoothing=0.2, class_weight_power=0.9),
    augmentation=Augmentation(strength=0.6, flip_probability=0.1),
    seed=2,
)
"""More groups of parameters than before, too: the head's learning rate is no longer the others'."""


def saved(recipe: Recipe, dataset, folder: Path, num_epochs: int) -> Training:
    training = Training(recipe, dataset, device=CPU)
    for epoch in training:
        if epoch.number == num_epochs:
            training.save(folder)
            break
    return training


def continued(recipe: Recipe, dataset, folder: Path) -> Training:
    training = Training(recipe, dataset, device=CPU)
    training.load(folder, with_other_values=True)
    return training


@pytest.mark.parametrize(
    "num_before", [1, 2, 3], ids=["within a phase", "between phases", "within the second phase"]
)
def test_goes_on_under_other_values_with_the_same_weights(make_dataset, tmp_path, num_before):
    parent = saved(BEFORE, make_dataset(), tmp_path, num_before)
    child = continued(AFTER, make_dataset(), tmp_path)
    assert all(torch.equal(tensor, child.weights()[key]) for key, tensor in parent.weights().items())
    epochs = list(child)
    assert [epoch.number for epoch in epochs] == list(range(num_before + 1, 6))
    assert epochs[-1].learning_rate == 7e-3
    groups = child._optimizer.param_groups
    assert {(group["lr"], group["weight_decay"]) for group in groups} == {
        (7e-3, 0.2),
        (7e-3, 0.0),
        (1.4e-2, 0.2),
        (1.4e-2, 0.0),
    }
    assert {group["betas"] for group in groups} == {(0.8, 0.999)}


def test_the_optimizers_memory_of_each_parameter_comes_along(make_dataset, tmp_path):
    parent = saved(BEFORE, make_dataset(), tmp_path, 3)
    child = continued(AFTER, make_dataset(), tmp_path)
    before, after = (
        dict(zip(_names(training), _moments(training), strict=True)) for training in (parent, child)
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def _names(training: Training) -> list[str]:
    return [
        name for name, parameter in training._network.module.named_parameters() if parameter.requires_grad
    ]


def _moments(training: Training) -> list[torch.Tensor]:
    parameters = [parameter for parameter in training._network.module.parameters() if parameter.requires_grad]
    return [training._optimizer.state[parameter]["exp_avg_sq"] for parameter in parameters]


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_copy_is_the_same_bit_for_bit_each_time_and_across_its_own_checkpoint(make_dataset, tmp_path, kind):
    before, after = (
        dataclasses.replace(one, optimizer=dataclasses.replace(one.optimizer, kind=kind))
        for one in (BEFORE, AFTER)
    )
    saved(before, make_dataset(), tmp_path / "parent", 3)
    whole = continued(after, make_dataset(), tmp_path / "parent")
    expected = list(whole)
    cut = continued(after, make_dataset(), tmp_path / "parent")
    next(iter(cut))
    cut.save(tmp_path / "own")
    resumed = continued(after, make_dataset(), tmp_path / "own")
    assert timeless(list(resumed)) == timeless(expected[1:])
    assert all(torch.equal(tensor, resumed.weights()[key]) for key, tensor in whole.weights().items())


def test_with_the_same_values_it_is_the_same_training(make_dataset, tmp_path):
    parent = saved(BEFORE, make_dataset(), tmp_path, 3)
    assert timeless(list(continued(BEFORE, make_dataset(), tmp_path))) == timeless(list(parent))


@pytest.mark.parametrize(
    "change",
    [
        {"model": Model(architecture="cnn4-32x64", dropout=0.3)},
        {"batch_size": 32},
        {"phases": (Phase(epochs=5, learning_rate=1e-3),)},
        {"optimizer": Optimizer(kind="sgd", average_halflife=1.0)},
        {"optimizer": Optimizer(weight_decay=0.01)},
        {"data": Data(image_size=12)},
        {"loss": Loss(kind="focal", class_weight_power=0.5)},
        {"patience": 3},
    ],
    ids=["layers", "batch", "phases", "kind of optimizer", "no average", "size", "loss", "patience"],
)
def test_what_the_state_or_its_meaning_depends_on_must_stay(make_dataset, tmp_path, change):
    saved(BEFORE, make_dataset(), tmp_path, 1)
    with pytest.raises(
        RecipeError, match="must hold a training of this recipe on this dataset, and holds another"
    ):
        continued(dataclasses.replace(BEFORE, **change), make_dataset(), tmp_path)


def test_only_who_asks_for_it_goes_on_under_other_values(make_dataset, tmp_path):
    saved(BEFORE, make_dataset(), tmp_path, 1)
    with pytest.raises(RecipeError, match="holds another"):
        Training(AFTER, make_dataset(), device=CPU).load(tmp_path)


MAY_CHANGE = {
    Data: {"sampler_power", "smallest_crop"},
    Model: {"dropout", "drop_path"},
    Phase: {"learning_rate", "head_multiplier", "layer_decay", "final_ratio", "step_factor"},
    Optimizer: {"weight_decay", "momentum", "second_moment", "clip_at", "average_halflife"},
    Loss: {
        "label_smoothing",
        "focal_gamma",
        "ldam_margin",
        "ldam_scale",
        "adjustment",
        "class_weight_power",
        "effective_beta",
        "class_weights",
        "class_weight_cap",
    },
    Augmentation: {
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
    },
    Mixing: {"alpha", "probability"},
    Head: set(),
    Evaluation: set(),
    Recipe: set(),
}


@pytest.mark.parametrize("part", MAY_CHANGE)
def test_a_population_moves_these_fields_and_no_other(part):
    """A new field stands here too, so that somebody has thought of what it means for a training that goes
    on.
    """
    assert changeable_fields(part) == MAY_CHANGE[part]


def test_every_part_of_a_recipe_says_what_may_change():
    assert {Recipe, Phase, *(part for part in parts_of(Recipe))} == set(MAY_CHANGE)
    assert lasting(BEFORE) == lasting(AFTER)


def parts_of(kind: type) -> list[type]:
    parts = [hint for hint in get_type_hints(kind).values() if dataclasses.is_dataclass(hint)]
    return [*parts, *(below for part in parts for below in parts_of(part))]


def test_what_is_not_there_does_not_come_while_a_training_goes_on():
    without = dataclasses.replace(BEFORE, loss=Loss(label_smoothing=0.1))
    assert lasting(dataclasses.replace(without, loss=Loss(effective_beta=0.9))) != lasting(without)
