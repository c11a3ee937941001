"""`study drift`: images like those trained on raise no alarm, others do, and the strangest are shown."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Study
from PIL import Image
from registering_tiny import Registry

from study.field.sample_comparison import compare, describe
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import open_test_split
from trainables.inference.classifier import Classifier
from trainables.inference.features import features_of_stored


@pytest.fixture(scope="module")
def unseen(registered: Registry) -> np.ndarray:
    """Images (N, H, W, C) that took no part in training: those of validation and test."""
    folder = registered.home.datasets / "digits"
    test, _ = open_test_split(folder, opened_by="the test of drift")
    return np.concatenate([np.array(Dataset.open(folder).validation.images), np.array(test.images)])


def written(folder: Path, images_NHWC: np.ndarray) -> Path:
    """A folder of images."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images_NHWC):
        Image.fromarray(image[..., 0]).save(folder / f"{number:04}.png")
    return folder


@pytest.mark.slow
def test_images_held_out_of_training_alarm_as_rarely_as_the_level_says(
    classifier: Classifier, unseen: np.ndarray
) -> None:
    """The false alarms of the whole test, on real images and a real network: 100 times two halves."""
    described, source, num_alarms = describe(classifier, unseen), np.random.default_rng(0), 0
    for _ in range(100):
        order = source.permutation(len(unseen))
        parts = compare(described.rows(order[:100]), described.rows(order[100:180]), 0.05)
        num_alarms += any(part.is_beyond_chance for part in parts)
    assert num_alarms <= 11  # of 100 at 5 % more are chance in 1 of 100 cases


def test_darker_images_alarm_and_the_strangest_are_on_a_sheet(
    study: Study, registered: Registry, unseen: np.ndarray, tmp_path: Path
) -> None:
    darker = (unseen[200:300] * 0.6).astype(np.uint8)
    darker[17] = 255
    folder, sheet = written(tmp_path / "dark", darker), tmp_path / "strange.png"
    (folder / "broken.png").write_bytes(b"no image")
    done = study(registered.home, "drift", "digits", "--from", folder, "--sheet", sheet, "--json")
    assert done.returncode == 1
    tree = json.loads(done.stdout)
    assert tree["is_alarm"]
    assert {part["name"] for part in tree["parts"] if part["is_beyond_chance"]} >= {"brightness", "contrast"}
    assert (tree["num_images"], tree["num_files"], len(tree["problems"])) == (100, 101, 1)
    shares = [one["stranger_than"] for one in tree["strangest"]]
    assert shares == sorted(shares, reverse=True)
    assert str(folder / "0017.png") in [one["file"] for one in tree["strangest"][:3]], "a white one"
    with Image.open(sheet) as picture:
        assert picture.size[0] > 600
    told = study(registered.home, "drift", "digits", "--from", folder, "--sheet", sheet)
    assert told.returncode == 1
    assert "are not like those that digits/1 was trained on" in " ".join(told.stdout.split())
    assert "left out: " in told.stderr
    assert max(map(len, told.stdout.splitlines())) <= 200


def test_images_of_the_same_source_do_not_alarm(
    study: Study, registered: Registry, unseen: np.ndarray, tmp_path: Path
) -> None:
    folder = written(tmp_path / "same", unseen[180:])
    done = study(registered.home, "drift", "digits/1", "--from", folder)
    assert done.returncode == 0, done.stdout
    assert "is beyond chance" in " ".join(done.stdout.split())
    assert (registered.home.folder / "drift" / "digits-1.png").exists()


def test_the_groups_of_new_images_are_units(
    study: Study, registered: Registry, unseen: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "persons"
    folder.mkdir()
    for number, image in enumerate(unseen[180:260]):
        Image.fromarray(image[..., 0]).save(folder / f"p{number // 4}_{number}.png")
    arguments = ("drift", "digits", "--from", folder, "--group-pattern", r"^(p\d+)_", "--json")
    tree = json.loads(study(registered.home, *arguments).stdout)
    assert tree["num_groups"][1] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "absent"), "a folder of images must exist"),
        (("--from", "empty"), "holds no images"),
        (("--from", "few"), "a comparison needs at least 20 images, and few has 3"),
        (("--from", "few", "--level", "1"), "--level must lie between 0 and 1"),
        (("--from", "few", "--sheet", "x.txt"), "--sheet must name a .png file"),
        (("--from", "few", "--group-pattern", "("), "--group-pattern must be a regular expression"),
    ],
)
def test_what_cannot_be_compared(
    study: Study,
    registered: Registry,
    unseen: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    written(tmp_path / "few", unseen[:3])
    done = study(registered.home, "drift", "digits", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_features_are_what_the_last_layer_takes(classifier: Classifier, unseen: np.ndarray) -> None:
    features_ND = features_of_stored(classifier, unseen[:10])
    assert features_ND.shape == (10, 128)
    np.testing.assert_allclose(np.linalg.norm(features_ND, axis=1), 1, atol=1e-5)
