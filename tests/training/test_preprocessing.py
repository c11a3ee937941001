import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as torchvision_functional

from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.transforms.preprocessing import Preprocessing, resized_uint8

CPU = torch.device("cpu")


def preprocessing(image_size: int, height: int = 8, width: int = 8, channels: int = 1) -> Preprocessing:
    return Preprocessing(
        height=height,
        width=width,
        channels=channels,
        image_size=image_size,
        pixel_mean=(0.5,) * channels,
        pixel_std=(0.25,) * channels,
    )


def recipe_of(**data: object) -> Recipe:
    return Recipe(
        data=Data(image_size=8, **data),
        model=Model(architecture="cnn2-32x64"),
        phases=(Phase(epochs=1, learning_rate=1e-3),),
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
    monkeypatch.setattr("trainables.transforms.preprocessing._CHUNK_PIXELS", 300)
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
    recipe = Recipe(
        data=Data(image_size=8),
        model=Model(architecture="cnn2-32x64"),
        phases=(Phase(epochs=1, learning_rate=1e-3),),
    )
    stage = Preprocessing.of(recipe, dataset.manifest)
    images = stage.normalised(stage.scaled(stage.resident(dataset.train.images, CPU)))
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_normalisation_of_the_architecture_is_imagenets_and_its_mean_for_gray(make_dataset):
    data = Data(image_size=8, normalisation="architecture")
    recipe = Recipe(
        data=data, model=Model(architecture="cnn2-32x64"), phases=(Phase(epochs=1, learning_rate=1e-3),)
    )
    assert Preprocessing.of(recipe, make_dataset(channels=3).manifest).pixel_mean == (0.485, 0.456, 0.406)
    gray = Preprocessing.of(recipe, make_dataset().manifest)
    assert gray.pixel_mean == pytest.approx((0.449,))
    assert gray.pixel_std == pytest.approx((0.226,))


def test_a_channel_that_never_varies_is_not_divided_by_0(make_dataset):
    recipe = Recipe(
        data=Data(image_size=8),
        model=Model(architecture="cnn2-32x64"),
        phases=(Phase(epochs=1, learning_rate=1e-3),),
    )
    manifest = dataclasses.replace(make_dataset().manifest, pixel_std=(0.0,))
    assert Preprocessing.of(recipe, manifest).pixel_std == (1.0,)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_given_normalisation_holds_for_every_channel(make_dataset, channels):
    recipe = recipe_of(normalisation="given", pixel_mean=0.4, pixel_std=0.2)
    stage = Preprocessing.of(recipe, make_dataset(channels=channels).manifest)
    assert (stage.pixel_mean, stage.pixel_std) == ((0.4,) * channels, (0.2,) * channels)
    assert not stage.is_per_image


@pytest.mark.parametrize("channels", [1, 3])
def test_each_images_own_mean_and_deviation(make_dataset, channels):
    dataset = make_dataset(channels=channels)
    stage = Preprocessing.of(recipe_of(normalisation="per_image"), dataset.manifest)
    images_NHWC = dataset.train.images
    normalised = stage.normalised(stage.scaled(stage.resident(images_NHWC, CPU)))
    assert normalised.is_contiguous(memory_format=torch.channels_last)
    mean, std = (
        (images_NHWC / 255).mean((1, 2, 3), keepdims=True),
        (images_NHWC / 255).std((1, 2, 3), keepdims=True),
    )
    np.testing.assert_allclose(
        normalised.permute(0, 2, 3, 1).numpy(), (images_NHWC / 255 - mean) / std, atol=1e-5
    )


def test_an_image_of_one_value_is_not_divided_by_0():
    stage = dataclasses.replace(preprocessing(8), is_per_image=True)
    assert torch.equal(stage.normalised(torch.full((2, 1, 8, 8), 0.25)), torch.zeros(2, 1, 8, 8))
    one_step = torch.zeros(1, 1, 8, 8)
    one_step[..., 0] = 1 / 255
    torch.testing.assert_close(stage.normalised(one_step), (one_step - 1 / 255 / 8) * 255)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (20, 30), (11, 11), (40, 9)])
def test_a_margin_is_there_before_the_crop_and_gone_after_it(height, width):
    stage = dataclasses.replace(preprocessing(8, height, width), crop_margin=3)
    images_NHWC = noise(4, height, width, 1)
    scaled = stage.scaled(stage.resident(images_NHWC, CPU))
    assert scaled.shape == (4, 1, 11, 11)
    assert torch.equal(
        scaled,
        preprocessing(11, height, width).scaled(preprocessing(11, height, width).resident(images_NHWC, CPU)),
    )
    assert torch.equal(stage.centre(scaled), scaled[:, :, 1:9, 1:9])
    assert stage.centre(scaled).data_ptr() == scaled[:, :, 1:].data_ptr() + 4


def test_the_middle_is_torchvisions_where_the_margin_is_even():
    stage = dataclasses.replace(preprocessing(8), crop_margin=6)
    images = torch.rand(2, 1, 14, 14)
    assert torch.equal(stage.centre(images), torchvision_functional.center_crop(images, [8, 8]))
    assert preprocessing(8).centre(images[:, :, :8, :8]).data_ptr() == images.data_ptr()


def test_the_recipe_says_the_margin(make_dataset):
    stage = Preprocessing.of(recipe_of(crop_margin=2), make_dataset().manifest)
    assert (stage.crop_margin, stage.scaled_size, stage.image_size) == (2, 10, 8)
