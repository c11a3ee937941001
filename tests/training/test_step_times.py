"""Steps that are timed tell what a training takes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trainables.datasets.dataset import Dataset
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.step_times import time_steps

MakeDataset = Callable[..., Dataset]
RECIPE = Recipe(
    data=Data(image_size=32),
    model=Model(architecture="resnet18"),
    phases=(Phase(epochs=3, learning_rate=1e-3),),
    batch_size=8,
)


def test_the_more_is_frozen_the_less_is_left(make_dataset: MakeDataset) -> None:
    found = time_steps(RECIPE, make_dataset(), torch.device("cpu"), 2.0)
    depths = [one.freeze_depth for one in found.frozen]
    assert depths[-1] == max(depths), "the deepest is there at any rate"
    head = found.frozen[-1]
    assert head.seconds < 0.5 * found.seconds
    assert head.evaluation_seconds < 0.5 * found.evaluation_seconds
    assert [one.flops for one in found.frozen] == sorted(one.flops for one in found.frozen)
    assert head.num_bytes == 512 * 4, "what the last stage makes of an image, pooled"


@pytest.mark.parametrize("architecture", ["cnn2-32x64", "vgg8-64x512"])
def test_of_any_network(make_dataset: MakeDataset, architecture: str) -> None:
    recipe = replace(RECIPE, model=Model(architecture=architecture))
    found = time_steps(recipe, make_dataset(), torch.device("cpu"), 0.3)
    assert found.seconds > 0
    assert all(one.seconds > 0 for one in found.frozen)
