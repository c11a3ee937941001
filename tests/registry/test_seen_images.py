"""Images that a model knows already are told: when it is measured, and when a study starts from it."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Study
from numpy.typing import NDArray
from PIL import Image
from quoting import keep_speed
from registering_tiny import Registry

from study.errors import UnknownModelError
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.registry.labelled_images import evaluate
from study.registry.seen_images import SeenImages, leak_of, leaks_into_test
from study.study_file.study_spec import StudySpec
from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import read_pixel_digests
from trainables.datasets.dataset import Dataset, open_split
from trainables.datasets.options import AddOptions
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training


def write_images(
    folder: Path, images_NHWC: NDArray[np.uint8], labels_N: NDArray[np.int64], what: str
) -> None:
    for number, (image, label) in enumerate(zip(images_NHWC, labels_N, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(folder / str(label) / f"{what}{number}.png")


def mixed_images(home: Home, folder: Path, *, num_known: int, num_others: int) -> None:
    """Images of the digits' training and validation splits, and of their test split, which no model knows."""
    dataset = Dataset.open(home.datasets / "digits")
    test = open_split(home.datasets / "digits", dataset.manifest, "test")
    half = num_known // 2
    write_images(folder, dataset.train.images[:half], dataset.train.labels[:half], "train")
    write_images(folder, dataset.validation.images[:half], dataset.validation.labels[:half], "validation")
    write_images(folder, test.images[:num_others], test.labels[:num_others], "other")


def test_evaluating_tells_what_the_model_was_trained_on(
    study: Study, registered: Registry, tmp_path: Path
) -> None:
    """Of 180 images 156 were, and it said 100.00 % (97.91 % to 100.00 %)."""
    mixed_images(registered.home, tmp_path / "own", num_known=40, num_others=30)
    command = ("evaluate", "digits/1", "--from", tmp_path / "own")
    tree = json.loads(study(registered.home, *command, "--json").stdout)
    assert (tree["num_images"], tree["num_seen"], tree["unknown"]) == (70, 40, [])
    unseen, all_ = tree["unseen_metrics"]["accuracy"], tree["metrics"]["accuracy"]
    assert unseen["value"] * 30 <= all_["value"] * 70
    assert unseen["high"] - unseen["low"] > all_["high"] - all_["low"]
    text = study(registered.home, *command).stdout
    assert "The model was trained or selected on 40 of these images" in text
    assert "the 30 unseen images alone" in text


def test_files_of_any_size_are_known_again(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(60):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(pixels).resize((20 + number % 7, 30 - number % 5)).save(place / f"{number}.jpg")
    manifest = add_dataset(tmp_path, "files", tmp_path / "photos", AddOptions())
    assert manifest.is_encoded
    recipe = Recipe(
        data=Data(image_size=8),
        model=Model(architecture="cnn2-32x64"),
        phases=(Phase(epochs=1, learning_rate=1e-3),),
    )
    training = Training(recipe, Dataset.open(tmp_path / "files"))
    classifier = Classifier(ClassifierConfig.of(recipe, manifest), training.weights())
    digests = frozenset(
        digest
        for split in ("train", "validation")
        for digest in read_pixel_digests(tmp_path / "files" / f"{split}.arrow").tolist()
    )
    seen = SeenImages(digests=digests, unknown=())
    evaluation = evaluate(classifier, tmp_path / "photos", AddOptions(), None, seen)
    assert (evaluation.num_images, evaluation.num_seen) == (60, len(digests))


def planned(home: Home, name: str) -> Plan:
    tree = {
        "study": "s",
        "dataset": name,
        "search_space": "digits",
        "fix": {"architecture": "cnn2-32x64", "weights": "models:/digits/1"},
        "budget": {"trials": 1, "epochs": 1},
    }
    return plan_study(StudySpec.parse(tree), home)


def test_weights_that_know_the_test_split_are_told_before_anything_is_spent(
    study: Study, sqlite_registry: Registry, classifier: Classifier, tmp_path: Path
) -> None:
    """A test accuracy of 90 % was reported on 30 images of which the weights knew 25."""
    home = sqlite_registry.home
    sqlite_registry.add(classifier)
    mixed_images(home, tmp_path / "field", num_known=260, num_others=40)
    add_dataset(home.datasets, "field", tmp_path / "field", AddOptions(test_fraction=0.3))
    plan = planned(home, "field")
    names = open_split_names(plan)
    num_known = sum("other" not in name for name in names)
    assert 0 < num_known < len(names)
    (leak,) = leaks_into_test(plan)
    assert leak == leak_of(plan, "models:/digits/1")
    assert leak.sentence.startswith(
        f"{num_known} of the {len(names)} test images are among those that models:/digits/1 was trained or"
    )
    assert not (plan.dataset_folder / "openings.jsonl").exists(), "nothing was opened"
    (tmp_path / "s.yaml").write_text(json.dumps(plan.spec.to_public_dict()))
    keep_speed(plan)
    checked = study(home, "check", tmp_path / "s.yaml")
    assert checked.returncode == 0, checked.stderr
    assert f"{num_known} of the {len(names)} test images are among those" in checked.stdout
    assert leaks_into_test(planned(home, "digits")) == (), "its own test split was never seen"
    (home.datasets / "digits").rename(tmp_path / "away")
    (unknown,) = leaks_into_test(plan)
    assert "is not known: its dataset digits" in unknown.sentence
    gone = leak_of(plan, "models:/digits/7")
    assert gone is not None
    assert "has no version" in gone.sentence
    with pytest.raises(UnknownModelError, match="unknown model 'nope'"):
        leaks_into_test(plan_with_weights(plan, "models:/nope/1"))


def open_split_names(plan: Plan) -> list[str]:
    """Names of the files of the test images."""
    import pyarrow as pa

    table = pa.ipc.open_file(plan.dataset_folder / "test.arrow").read_all()
    names: list[str] = table["name"].to_pylist()
    return names


def plan_with_weights(plan: Plan, weights: str) -> Plan:
    spec = plan.spec.model_copy(update={"fix": {**plan.spec.fix, "weights": weights}})
    return plan_study(spec, plan.home)
