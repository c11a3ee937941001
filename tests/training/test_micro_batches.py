"""A batch that goes through the network in parts takes the same step; want of memory is told apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.devices.memory import translate_memory_errors
from trainables.errors import MemoryExhaustedError
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.data import Data
from trainables.recipe.loss import Loss
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64", batch_norm="eval_all"),
    phases=(Phase(epochs=2, learning_rate=1e-2),),
    loss=Loss(class_weight_power=1.0),
    augmentation=Augmentation(strength=0.3, mixing=Mixing(kind="mixup")),
    batch_size=16,
)


@pytest.mark.parametrize("normalisation", ["weights", "images"])
@pytest.mark.parametrize("micro_batch", [1, 5, 8])
def test_parts_of_a_batch_take_the_step_of_the_whole(make_dataset, micro_batch, normalisation):
    recipe = replace(RECIPE, loss=replace(RECIPE.loss, weight_normalisation=normalisation))
    whole = Training(recipe, make_dataset(), device=CPU)
    parts = Training(recipe, make_dataset(), device=CPU, micro_batch=micro_batch)
    for one, other in zip(whole, parts, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
    images = make_dataset().validation.images
    assert np.allclose(whole.predict(images), parts.predict(images), atol=1e-3)


def test_no_part_is_a_single_image_where_batch_norm_trains(make_dataset):
    recipe = replace(RECIPE, model=Model(architecture="cnn2-32x64"), batch_size=9)
    (*_, last) = Training(recipe, make_dataset(num_train=27), device=CPU, micro_batch=2)
    assert np.isfinite(last.train_loss)


def test_a_tensor_larger_than_the_memory_is_told_with_the_device():
    with (
        pytest.raises(MemoryExhaustedError, match=r"cpu has too little memory for this training: .*memory"),
        translate_memory_errors(CPU),
    ):
        torch.empty(2**58, dtype=torch.uint8)


def test_other_failures_stay_what_they_are():
    with pytest.raises(RuntimeError, match=r"inconsistent|shape|size"), translate_memory_errors(CPU):
        torch.ones(2) @ torch.ones(3)
