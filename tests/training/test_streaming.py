"""Streamed images give the numbers of resident ones, bit for bit, in little memory."""

import sys
import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import Crop, cropped_pixels, decoded_pixels, fitted_pixels
from trainables.errors import RecipeError
from trainables.inference.classifier import Classifier, ClassifierConfig, as_stored
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training import loop
from trainables.training.image_order import random_crops
from trainables.training.loop import Training
from trainables.transforms.image_stream import StreamedImages
from trainables.transforms.preprocessing import Preprocessing

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=16),
    model=Model(architecture="cnn2-32x64"),
    phases=(Phase(epochs=2, learning_rate=1e-3),),
    augmentation=Augmentation(strength=0.5, flip_probability=0.5, mixing=Mixing(kind="mixup")),
    batch_size=8,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """90 JPEGs of three classes, of several sizes."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("photos")
    for number in range(90):
        pixels = random.integers(0, 120, (5, 5, 3), np.uint8)
        pixels[:, number % 3] += 120
        place = root / "abc"[number % 3]
        place.mkdir(exist_ok=True)
        size = (24 + number % 5 * 4, 20 + number % 4 * 4)
        Image.fromarray(pixels).resize(size).save(place / f"{number:02}.jpg")
    return root


@pytest.fixture(scope="module", params=["decoded", "shrunk", "encoded"])
def dataset(request, photos, tmp_path_factory) -> Dataset:
    home = tmp_path_factory.mktemp("home")
    sides = {"decoded": 16, "shrunk": 20, "encoded": None}
    add_dataset(home, "photos", photos, AddOptions(image_size=sides[request.param]))
    return Dataset.open(home / "photos")


def losses(training: Training) -> list[tuple[str, str]]:
    return [(epoch.train_loss.hex(), epoch.metrics.log_loss.hex()) for epoch in training]


@pytest.mark.parametrize("margin", [0, 4])
def test_streamed_and_resident_trainings_are_equal_bit_for_bit(dataset, margin):
    recipe = replace(RECIPE, data=Data(image_size=12, crop_margin=margin))
    resident = Training(recipe, dataset, device=CPU, is_streamed=False)
    streamed = Training(recipe, dataset, device=CPU, is_streamed=True)
    assert losses(streamed) == losses(resident)
    for key, tensor in resident.weights().items():
        assert torch.equal(streamed.weights()[key], tensor), key
    assert streamed.inspection().probability_M.tolist() == resident.inspection().probability_M.tolist()
    assert streamed.latency_seconds() > 0


def test_parts_of_a_split_and_repeats_are_streamed_too(dataset):
    recipe = replace(RECIPE, data=Data(image_size=16, train_images=30, sampler_power=0.5))
    assert losses(Training(recipe, dataset, device=CPU, is_streamed=True)) == losses(
        Training(recipe, dataset, device=CPU, is_streamed=False)
    )


def test_a_training_goes_on_streamed_where_it_was_resident(dataset, tmp_path):
    whole = losses(Training(RECIPE, dataset, device=CPU, is_streamed=False))
    first = Training(RECIPE, dataset, device=CPU, is_streamed=False)
    next(iter(first))
    first.save(tmp_path)
    second = Training(RECIPE, dataset, device=CPU, is_streamed=True)
    second.load(tmp_path)
    assert losses(second) == whole[1:]


@pytest.fixture(scope="module")
def files(photos, tmp_path_factory) -> Dataset:
    home = tmp_path_factory.mktemp("files")
    add_dataset(home, "photos", photos, AddOptions())
    return Dataset.open(home / "photos")


def test_random_rectangles_of_files_follow_from_the_seed(files, tmp_path):
    recipe = replace(RECIPE, data=Data(image_size=12, smallest_crop=0.3))
    whole = losses(Training(recipe, files, device=CPU))
    assert whole == losses(Training(recipe, files, device=CPU, is_streamed=True))
    assert whole != losses(Training(replace(RECIPE, data=Data(image_size=12)), files, device=CPU))
    first = Training(recipe, files, device=CPU)
    next(iter(first))
    first.save(tmp_path)
    second = Training(recipe, files, device=CPU)
    second.load(tmp_path)
    assert losses(second) == whole[1:]


def test_each_epoch_sees_other_rectangles_of_the_size_that_is_asked():
    first, second = (random_crops(5000, 0.25, seed=0, epoch=epoch) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, random_crops(5000, 0.25, seed=0, epoch=0))
    areas, ratios = first[:, 0], np.log(first[:, 1])
    assert (areas.min() >= 0.25, areas.max() <= 1) == (True, True)
    np.testing.assert_allclose([areas.mean(), ratios.mean()], [0.625, 0], atol=0.02)
    np.testing.assert_allclose(np.abs(ratios).max(), np.log(4 / 3), atol=0.01)


def test_a_rectangle_is_pillows_and_never_leaves_the_image(files):
    images = files.train.images
    assert isinstance(images, EncodedImages)
    picture = Image.fromarray(images.pixels(3))
    crop = Crop(area=0.25, ratio=1.0, left=0.0, top=1.0)
    size = (0.25 * picture.width * picture.height) ** 0.5
    box = (0, picture.height - size, size, picture.height)
    expected = picture.resize((10, 10), Image.Resampling.LANCZOS, box=box)
    np.testing.assert_array_equal(images.cropped(3, 10, crop), np.asarray(expected))
    for crop in random_crops(300, 0.01, seed=1, epoch=0).tolist():
        assert images.cropped(5, 6, Crop(*crop)).shape == (6, 6, 3)
    for ratio in (0.75, 4 / 3):
        all_of_it = Crop(area=1.0, ratio=ratio, left=1.0, top=1.0)
        assert images.cropped(5, 6, all_of_it).shape == (6, 6, 3)


def test_large_photos_are_decoded_smaller_and_hardly_differ():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (24, 32, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC)
    file = BytesIO()
    picture.save(file, "JPEG", quality=92)
    exact = decoded_pixels(file.getvalue(), 3, 96).astype(int)
    fast = fitted_pixels(file.getvalue(), 3, 96).astype(int)
    assert np.abs(exact - fast).mean() < 1
    crop = Crop(area=0.25, ratio=1.0, left=0.2, top=0.9)
    assert cropped_pixels(file.getvalue(), 3, 96, crop).shape == (96, 96, 3)
    small = BytesIO()
    picture.resize((120, 100)).save(small, "JPEG")
    np.testing.assert_array_equal(
        fitted_pixels(small.getvalue(), 3, 96), decoded_pixels(small.getvalue(), 3, 96)
    )


def test_pixels_at_one_size_have_no_rectangles_to_take(dataset):
    if dataset.manifest.is_encoded:
        return
    recipe = replace(RECIPE, data=Data(image_size=12, smallest_crop=0.3))
    with pytest.raises(RecipeError, match="smallest_crop takes rectangles out of images at their own sizes"):
        Training(recipe, dataset, device=CPU)


@pytest.mark.parametrize("crop", [None, 0.4])
def test_an_epoch_in_stretches_is_streamed_to_the_same_end(files, crop):
    recipe = replace(RECIPE, data=Data(image_size=12, smallest_crop=crop))
    whole = losses(Training(recipe, files, device=CPU, is_streamed=True))
    training, epochs = Training(recipe, files, device=CPU, is_streamed=True), []
    while not training.has_ended:
        epoch = training.advance(0.0)
        epochs += [] if epoch is None else [(epoch.train_loss.hex(), epoch.metrics.log_loss.hex())]
    assert epochs == whole


def test_images_that_do_not_fit_are_streamed(dataset, monkeypatch):
    assert not Training(RECIPE, dataset, device=CPU).is_streamed
    monkeypatch.setattr(loop, "room_for_images", lambda device: 1000)
    assert Training(RECIPE, dataset, device=CPU).is_streamed


def test_an_epoch_that_is_cut_off_leaves_no_thread(dataset):
    images = StreamedImages(dataset.train, Preprocessing.of(RECIPE, dataset.manifest), CPU)
    before = threading.active_count()
    batches = images.batches(torch.arange(len(images)).split(4))
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_a_file_that_was_cut_off_is_an_error_in_words(dataset, tmp_path):
    assert dataset.folder is not None
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in dataset.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    opened = Dataset.open(folder)
    training = Training(RECIPE, opened, device=CPU, is_streamed=True)
    path = folder / "train.arrow"
    with path.open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(OSError, match="ends before its last image; add the dataset again"):
        next(iter(training))


@pytest.mark.parametrize("margin", [0, 4])
def test_a_file_is_predicted_as_it_was_validated(photos, tmp_path, margin):
    add_dataset(tmp_path, "photos", photos, AddOptions())
    dataset = Dataset.open(tmp_path / "photos")
    recipe = replace(RECIPE, data=Data(image_size=12, crop_margin=margin))
    training = Training(recipe, dataset, device=CPU)
    list(training)
    config = ClassifierConfig.of(recipe, dataset.manifest)
    classifier = Classifier(config, training.weights(), device=CPU)
    images = dataset.validation.images
    files = [images[row] for row in range(len(images))]
    by_file = classifier.probabilities(files)
    np.testing.assert_array_equal(classifier.probabilities_of_stored(images), by_file)
    assert as_stored(files[0], config).shape == (12 + margin, 12 + margin, 3)
    predicted, probability = training.predicted()
    np.testing.assert_array_equal(by_file.argmax(1), predicted)
    np.testing.assert_allclose(by_file.max(1), probability, rtol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_streaming_takes_a_few_batches_of_memory(tmp_path):
    for number in range(200):
        place = tmp_path / "source" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(place / f"{number}.png")
    add_dataset(tmp_path / "home", "large", tmp_path / "source", AddOptions(image_size=256))
    dataset = Dataset.open(tmp_path / "home" / "large")
    recipe = replace(RECIPE, data=Data(image_size=256))
    images = StreamedImages(dataset.train, Preprocessing.of(recipe, dataset.manifest), CPU)
    total = sum(batch.nbytes for batch in images.split(8))
    before, most = resident_bytes(), 0
    for _ in images.split(8):
        most = max(most, resident_bytes() - before)
    assert total > 30_000_000
    assert most < total / 4


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
