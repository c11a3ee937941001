"""A probe takes steps as a training does, says what they took, and leaves nothing behind.

On a GPU it measures memory, too.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.devices.device import find_device
from trainables.devices.threads import use_threads
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import DeviceMemory
from trainables.training.resource_probe import probe
from trainables.transforms.preprocessing import Preprocessing

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64", weights="/nowhere/weights.pth"),
    phases=(Phase(epochs=50, learning_rate=1e30),),
    batch_size=8,
)


def test_a_probe_needs_no_weights_and_survives_any_learning_rate(make_dataset):
    measured = probe(RECIPE, RECIPE.phases[0], make_dataset(), CPU)
    assert measured.peak_bytes is None
    assert measured.images_per_second > 0
    assert DeviceMemory.of(CPU) is None


def test_a_dataset_smaller_than_the_steps_is_enough(make_dataset):
    recipe = replace(RECIPE, batch_size=64, data=Data(image_size=8, train_images=20))
    assert probe(recipe, recipe.phases[0], make_dataset(num_validation=3), CPU).images_per_second > 0


@pytest.mark.parametrize("image_size", [6, 8, 20])
def test_the_bytes_of_an_image_are_those_that_lie_on_the_device(make_dataset, image_size):
    dataset = make_dataset(height=8, width=12, channels=3, num_train=5)
    preprocessing = Preprocessing.of(replace(RECIPE, data=Data(image_size=image_size)), dataset.manifest)
    resident = preprocessing.resident(np.array(dataset.train.images), CPU)
    assert resident.nbytes == 5 * preprocessing.resident_bytes


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_more_images_at_once_take_more_of_a_gpu(make_dataset):
    dataset, device = make_dataset(num_train=2048), find_device()
    few, many = (
        probe(replace(RECIPE, batch_size=size), RECIPE.phases[0], dataset, device).peak_bytes
        for size in (8, 512)
    )
    memory = DeviceMemory.of(device)
    assert 0 < few < many < memory.total
    assert 0 < memory.overhead < memory.total


@pytest.mark.parametrize(
    "device",
    [
        CPU,
        pytest.param(
            torch.device("cuda"),
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
        ),
    ],
    ids=str,
)
def test_the_networks_of_folds_are_in_memory_together(make_dataset, device):
    recipe = replace(RECIPE, model=Model(architecture="cnn4-32x256"), data=Data(image_size=32))
    one, five = (probe(recipe, recipe.phases[0], make_dataset(), device, num_networks=num) for num in (1, 5))
    assert five.images_per_second > 0
    if device.type == "cuda":
        weights_and_moments = 3 * 4 * 1_500_000
        assert five.peak_bytes - one.peak_bytes > 4 * weights_and_moments / 2


def test_threads_are_as_many_as_asked():
    use_threads(1)
    assert torch.get_num_threads() == 1
