import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.datasets.pixels import permute
from trainables.errors import DatasetError
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.metrics.from_logits import metrics_of
from trainables.recipe.augmentation import Augmentation
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")


def trained(dataset, image_size: int = 8, normalisation: str = "dataset") -> Training:
    recipe = Recipe(
        data=Data(image_size=image_size, normalisation=normalisation),
        model=Model(architecture="cnn2-32x64", dropout=0.2),
        phases=(Phase(epochs=1, learning_rate=1e-3),),
        augmentation=Augmentation(strength=0.5),
        batch_size=16,
    )
    training = Training(recipe, dataset, device=CPU)
    list(training)
    return training


def classifier_of(training: Training) -> Classifier:
    return Classifier(ClassifierConfig.of(training.recipe, training.manifest), training.weights(), device=CPU)


def encoded(pixels_HWC: np.ndarray, mode: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels_HWC.squeeze()).convert(mode).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("normalisation", ["dataset", "architecture", "zero_one"])
@pytest.mark.parametrize(
    ("image_size", "stored"),
    [(8, (8, 8, 1)), (8, (20, 12, 3)), (16, (8, 8, 1)), (10, (8, 14, 3))],
    ids=["as is", "shrunk", "enlarged", "both"],
)
def test_a_loaded_classifier_predicts_as_the_training_did(
    make_dataset, tmp_path, image_size, stored, normalisation
):
    height, width, channels = stored
    dataset = make_dataset(height=height, width=width, channels=channels)
    training = trained(dataset, image_size, normalisation)
    classifier_of(training).save(tmp_path)
    images_NHWC = dataset.validation.images
    expected_NK = training.predict(images_NHWC)
    loaded = Classifier.load(tmp_path, device=CPU)
    np.testing.assert_allclose(loaded.probabilities(images_NHWC), expected_NK, atol=1e-6)
    np.testing.assert_allclose(loaded.probabilities(list(images_NHWC)), expected_NK, atol=1e-6)
    mode = "L" if channels == 1 else "RGB"
    np.testing.assert_allclose(
        loaded.probabilities([encoded(image, mode) for image in images_NHWC]), expected_NK, atol=1e-6
    )


def test_gray_images_may_come_in_any_form(make_dataset):
    dataset = make_dataset()
    classifier = classifier_of(trained(dataset))
    expected_NK = classifier.probabilities(dataset.validation.images)
    gray_HW = [image.squeeze(2) for image in dataset.validation.images]
    rgb_HWC = [np.repeat(image, 3, axis=2) for image in dataset.validation.images]
    rgba_HWC = [np.concatenate([image, image[..., :1] * 0 + 255], axis=2) for image in rgb_HWC]
    rgba_files = [encoded(image, "RGBA") for image in rgb_HWC]
    for images in (gray_HW, rgb_HWC, rgba_HWC, rgba_files, np.stack(rgb_HWC)):
        np.testing.assert_allclose(classifier.probabilities(images), expected_NK, atol=1e-6)


def test_images_of_other_sizes_mixed_in_one_call_are_fitted(make_dataset):
    dataset = make_dataset()
    classifier = classifier_of(trained(dataset))
    first = dataset.validation.images[0]
    enlarged = np.asarray(Image.fromarray(first.squeeze(2)).resize((64, 64), Image.Resampling.NEAREST))
    probabilities_NK = classifier.probabilities([first, enlarged, enlarged[:, :40]])
    assert probabilities_NK.shape == (3, 3)
    np.testing.assert_allclose(probabilities_NK[1], probabilities_NK[0], atol=0.02)


def test_files_and_arrays_are_permuted_as_the_dataset_was(make_dataset):
    dataset = make_dataset(permute_seed=3)
    classifier = classifier_of(trained(dataset))
    original = dataset.validation.images[0]
    expected = classifier.probabilities_of_stored(permute(original, 3)[None])
    for image in (encoded(original, "L"), original, original.squeeze()):
        np.testing.assert_allclose(classifier.probabilities([image]), expected, atol=1e-6)


def test_no_images_have_no_probabilities(make_dataset):
    assert classifier_of(trained(make_dataset())).probabilities([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"no image", "a file that Pillow can read, and is not"),
        (np.zeros((8, 8), np.float32), "must be uint8 .* got float32"),
        (np.zeros((8, 8, 5), np.uint8), r"got uint8 \(8, 8, 5\)"),
        (np.zeros((0, 8), np.uint8), r"got uint8 \(0, 8\)"),
    ],
)
def test_what_is_no_image_is_refused(make_dataset, image, message):
    classifier = classifier_of(trained(make_dataset()))
    with pytest.raises(DatasetError, match=message):
        classifier.probabilities([image])


def test_a_card_survives_json(make_dataset, tmp_path):
    training = trained(make_dataset())
    card = ClassifierConfig.of(training.recipe, training.manifest)
    card.write(tmp_path / "recipe.json")
    assert ClassifierConfig.read(tmp_path / "recipe.json") == card
    assert json.loads((tmp_path / "recipe.json").read_text())["classes"] == ["left", "middle", "right"]


def test_a_card_says_under_which_recipes_the_weights_were_trained_before(make_dataset, tmp_path):
    training = trained(make_dataset())
    earlier = (
        (2, dataclasses.replace(training.recipe, seed=7)),
        (4, dataclasses.replace(training.recipe, seed=8)),
    )
    card = ClassifierConfig.of(training.recipe, training.manifest, earlier)
    card.write(tmp_path / "recipe.json")
    assert ClassifierConfig.read(tmp_path / "recipe.json") == card
    assert [
        last_epoch for last_epoch, _ in json.loads((tmp_path / "recipe.json").read_text())["earlier"]
    ] == [2, 4]


def test_the_weights_a_training_started_from_are_not_needed(make_dataset, tmp_path):
    training = trained(make_dataset())
    torch.save(training.weights(), tmp_path / "start.pt")
    recipe = dataclasses.replace(
        training.recipe, model=dataclasses.replace(training.recipe.model, weights=str(tmp_path / "start.pt"))
    )
    continued = Training(recipe, make_dataset(), device=CPU)
    np.testing.assert_array_equal(
        continued.predict(make_dataset().validation.images),
        training.predict(make_dataset().validation.images),
    )
    (tmp_path / "start.pt").unlink()
    classifier_of(continued).save(tmp_path / "saved")
    assert Classifier.load(tmp_path / "saved", device=CPU).probabilities(
        make_dataset().validation.images
    ).shape == (30, 3)


def test_a_temperature_divides_the_logits_and_is_saved(make_dataset, tmp_path):
    training = trained(make_dataset())
    images_NHWC = make_dataset().validation.images
    plain = classifier_of(training)
    card = dataclasses.replace(plain.config, temperature=2.5)
    tempered = Classifier(card, training.weights(), device=CPU)
    expected_NK = torch.from_numpy(plain.probabilities(images_NHWC)).log().div(2.5).softmax(1).numpy()
    np.testing.assert_allclose(tempered.probabilities(images_NHWC), expected_NK, atol=1e-6)
    np.testing.assert_array_equal(
        tempered.probabilities(images_NHWC).argmax(1), plain.probabilities(images_NHWC).argmax(1)
    )
    tempered.save(tmp_path)
    loaded = Classifier.load(tmp_path, device=CPU)
    assert loaded.config == card
    np.testing.assert_array_equal(loaded.probabilities(images_NHWC), tempered.probabilities(images_NHWC))


def test_calibration_lowers_the_log_loss_and_leaves_the_classifier_alone(make_dataset):
    learned = make_dataset().validation
    is_other_N = np.arange(len(learned)) % 4 == 0
    split = dataclasses.replace(learned, labels=np.where(is_other_N, 1 - learned.labels % 2, learned.labels))
    classifier = classifier_of(trained(make_dataset()))
    before_NK = classifier.probabilities(split.images)
    calibrated = classifier.calibrated(split)
    assert calibrated.config.temperature != 1.0
    assert (
        metrics_of(calibrated.probabilities(split.images), split.labels).log_loss
        < metrics_of(before_NK, split.labels).log_loss
    )
    assert calibrated.calibrated(split).config == calibrated.config
    all_right = dataclasses.replace(split, labels=before_NK.argmax(1))
    assert 0.1 < calibrated.calibrated(all_right).config.temperature < 1.0, "the prior holds it"
    assert classifier.config.temperature == 1.0
    np.testing.assert_array_equal(classifier.probabilities(split.images), before_NK)


@pytest.mark.parametrize(
    "evaluation",
    [Evaluation(views="ten_crop"), Evaluation(views="flip", dropout_samples=4)],
    ids=["views", "dropout"],
)
def test_a_classifier_asks_as_its_recipe_says(make_dataset, tmp_path, evaluation):
    dataset = make_dataset()
    training = trained(dataset)
    data = dataclasses.replace(training.recipe.data, crop_margin=2)
    recipe = dataclasses.replace(training.recipe, data=data, evaluation=evaluation)
    classifier = Classifier(ClassifierConfig.of(recipe, training.manifest), training.weights(), device=CPU)
    classifier.save(tmp_path)
    probabilities_NK = Classifier.load(tmp_path, device=CPU).probabilities(dataset.validation.images)
    np.testing.assert_array_equal(probabilities_NK, classifier.probabilities(dataset.validation.images))
    asked_once = Classifier(
        ClassifierConfig.of(dataclasses.replace(recipe, evaluation=Evaluation()), training.manifest),
        training.weights(),
        device=CPU,
    )
    assert not np.allclose(probabilities_NK, asked_once.probabilities(dataset.validation.images), atol=1e-4)
    np.testing.assert_allclose(probabilities_NK.sum(1), 1, atol=1e-5)
