import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.preprocessing import Preprocessing, resized_uint8
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

CPU = torch.device("cpu")


def preprocessing(image_size: int, height: int = 8, width: int = 8, channels: int = 1) -> Preprocessing:
    return Preprocessing(
        height=height, width=width, channels=channels, image_size=image_size, pixel_mean=(0.5,) * channels, pixel_std=(0.25,) * channels
    )


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_images_of_the_right_size_are_not_copied_on_a_cpu():
    images_NHWC = noise(4, 8, 8, 1)
    images_NHWC.setflags(write=False)
    assert preprocessing(8).resident(images_NHWC, CPU).data_ptr() == images_NHWC.ctypes.data


def test_larger_images_are_shrunk_once_with_antialiasing_as_pillow_does():
    images_NHWC = noise(3, 40, 30, 3)
    resident_NHWC = preprocessing(16, 40, 30, 3).resident(images_NHWC, CPU)
    assert resident_NHWC.shape == (3, 16, 16, 3)
    for ours, image in zip(resident_NHWC.numpy(), images_NHWC, strict=True):
        pillows = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(ours.astype(int), pillows.astype(int), atol=1)


def test_shrinking_in_chunks_gives_the_same_images(monkeypatch):
    images_NHWC = noise(9, 12, 12, 1)
    whole = preprocessing(8, 12, 12).resident(images_NHWC, CPU)
    monkeypatch.setattr("trainables.preprocessing._CHUNK_PIXELS", 300)
    assert torch.equal(preprocessing(8, 12, 12).resident(images_NHWC, CPU), whole)
    assert torch.equal(whole, resized_uint8(torch.from_numpy(images_NHWC), 8, 8))


@pytest.mark.parametrize(("image_size", "height", "width"), [(8, 8, 8), (16, 8, 8), (12, 8, 12)])
def test_the_model_sees_squares_in_0_to_1_channels_last(image_size, height, width):
    stage = preprocessing(image_size, height, width, channels=3)
    images_BCSS = stage.scaled(stage.resident(noise(5, height, width, 3), CPU))
    assert images_BCSS.shape == (5, 3, image_size, image_size)
    assert 0 <= images_BCSS.min() < images_BCSS.max() <= 1
    assert stage.normalised(images_BCSS).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(stage.normalised(images_BCSS), (images_BCSS - 0.5) / 0.25)


def test_normalisation_of_the_dataset_gives_mean_0_and_deviation_1(make_dataset):
    dataset = make_dataset(channels=3)
    recipe = Recipe(data=Data(image_size=8), model=Model(architecture="cnn2-32x64"), phases=(Phase(epochs=1, learning_rate=1e-3),))
    stage = Preprocessing.of(recipe, dataset.manifest)
    images = stage.normalised(stage.scaled(stage.resident(dataset.train.images, CPU)))
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_normalisation_of_the_architecture_is_imagenets_and_its_mean_for_gray(make_dataset):
    data = Data(image_size=8, normalisation="architecture")
    recipe = Recipe(data=data, model=Model(architecture="cnn2-32x64"), phases=(Phase(epochs=1, learning_rate=1e-3),))
    assert Preprocessing.of(recipe, make_dataset(channels=3).manifest).pixel_mean == (0.485, 0.456, 0.406)
    gray = Preprocessing.of(recipe, make_dataset().manifest)
    assert gray.pixel_mean == pytest.approx((0.449,))
    assert gray.pixel_std == pytest.approx((0.226,))


def test_a_channel_that_never_varies_is_not_divided_by_0(make_dataset):
    recipe = Recipe(data=Data(image_size=8), model=Model(architecture="cnn2-32x64"), phases=(Phase(epochs=1, learning_rate=1e-3),))
    manifest = dataclasses.replace(make_dataset().manifest, pixel_std=(0.0,))
    assert Preprocessing.of(recipe, manifest).pixel_std == (1.0,)
