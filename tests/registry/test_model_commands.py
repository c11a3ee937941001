"""The commands on registered models in a terminal: whatever the files turn out to be, a message and an exit
code, never a traceback.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Study
from PIL import Image
from registering_tiny import Registry, add

from study.home import Home
from study.registry.prediction_csv import writing
from study.registry.predictions import Prediction
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.inference.classifier import Classifier


@pytest.fixture(scope="module")
def digit(registered: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The picture of a digit of the validation split."""
    file = tmp_path_factory.mktemp("pictures") / "digit.png"
    Image.fromarray(Dataset.open(registered.home.datasets / "digits").validation.images[0].squeeze()).save(
        file
    )
    return file


def spoilt(folder: Path, digit: Path) -> dict[str, str]:
    """Files that are no images, and what is said of each."""
    content = digit.read_bytes()
    (folder / "corrupt.png").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not an image\n")
    Image.new("L", (12000, 12000)).save(folder / "large.png")
    Image.new("1", (30000, 30000)).save(folder / "bomb.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    return {
        "corrupt.png": "a file that Pillow can read, and is not",
        "empty.png": "this one is empty",
        "text.png": "its format is not known",
        "large.png": "an image may have 89,478,485 pixels, and this one has more",
        "bomb.png": "an image may have 89,478,485 pixels, and this one has more",
        "folder.png": "this is a folder without files",
        "pipe.png": "this is a device or a pipe",
        "absent.png": "No such file or directory",
    }


def test_spoilt_files_are_named_and_the_others_predicted(
    study: Study, registered: Registry, digit: Path, tmp_path: Path
) -> None:
    messages = spoilt(tmp_path, digit)
    Image.new("L", (1, 1), 7).save(tmp_path / "one.png")
    Image.new("RGBA", (30, 20), (1, 2, 3, 4)).save(tmp_path / "colour.webp")
    good = [digit, tmp_path / "one.png", tmp_path / "colour.webp"]
    done = study(
        registered.home, "predict", "digits", digit, *(tmp_path / name for name in messages), *good[1:]
    )
    assert done.returncode == 1
    for name, message in messages.items():
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"{tmp_path / name}: ")]
        assert message in line
    assert done.stdout.splitlines()[0] == "digits/1, candidate"
    for file, line in zip(good, done.stdout.splitlines()[1:], strict=True):
        assert line.startswith(str(file))
        assert "%" in line
    assert "8 of 11 could not be read" in done.stderr


def test_predictions_for_a_program(study: Study, registered: Registry, digit: Path, tmp_path: Path) -> None:
    done = study(registered.home, "predict", "models:/digits/1", digit, tmp_path / "absent.png", "--json")
    assert done.returncode == 1
    tree = json.loads(done.stdout)
    good, bad = tree["predictions"]
    assert tree["model"] == "digits/1"
    assert good["label"] in "0123456789"
    assert sum(good["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (bad["label"], bad["problem"]) == (None, "No such file or directory")


def test_a_folder_of_images_becomes_a_csv(
    study: Study, registered: Registry, digit: Path, tmp_path: Path
) -> None:
    photos, table = tmp_path / "photos", tmp_path / "photos" / "labels.csv"
    for name in ("b/2.png", "b/10.png", "a, b.png", ".hidden/x.png", ".hidden.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(digit.read_bytes())
    (photos / "b" / "notes.txt").write_text("no image")
    (photos / "elsewhere").symlink_to(digit.parent)
    for _ in range(2):  # the second time the file that the first one wrote lies in the folder
        done = study(registered.home, "predict", "digits/1", photos, "--csv", table)
        assert done.returncode == 1, done.stderr
        assert "notes.txt: " in done.stderr
        assert "1 of 4 could not be read" in done.stderr
        assert "3 images in" in done.stdout
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["file"] for row in rows] == [
            str(photos / name) for name in ("a, b.png", "b/10.png", "b/2.png")
        ]
        assert list(rows[0]) == ["file", "class", "probability", *"0123456789"]
        for row in rows:
            assert sum(float(row[name]) for name in "0123456789") == pytest.approx(1, abs=1e-4)
            assert row["probability"] == row[row["class"]] == max(row[name] for name in "0123456789")
    (photos / "b" / "notes.txt").unlink()
    as_json = study(registered.home, "predict", "digits/1", photos, "--csv", table, "--json")
    assert (as_json.returncode, len(json.loads(as_json.stdout)["predictions"])) == (0, 3)
    assert "1 images in" in study(registered.home, "predict", "digits", digit, "--csv", table).stdout


def test_a_dataset_that_a_registered_model_needs_is_not_removed(study: Study, registered: Registry) -> None:
    refused = study(registered.home, "data", "rm", "digits")
    assert refused.returncode == 2
    assert "1 registered version of the model 'digits' could not be trained again" in refused.stderr
    assert (registered.home.datasets / "digits" / "manifest.json").exists()


def test_a_csv_that_cannot_be_written_is_refused_before_anything_is_predicted(
    study: Study, registered: Registry, digit: Path, tmp_path: Path
) -> None:
    for file in (tmp_path, tmp_path / "absent" / "labels.csv"):
        refused = study(registered.home, "predict", "digits", digit, "--csv", file)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--csv must name a file in a folder that exists" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_that_is_interrupted_leaves_the_file_of_before(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("of before")

    def until_interrupted() -> Iterator[Prediction]:
        shares = {"b": 0.75, "file": 0.25}
        yield Prediction(file="\udcff.png", label="b", confidence=0.75, probabilities=shares, problem=None)
        if file.read_text() == "of before":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(writing(file, ("file", "b"), until_interrupted()))
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("labels.csv", "of before")]
    file.unlink()
    file.write_text("")
    list(writing(file, ("file", "b"), until_interrupted()))
    assert file.read_text() == (
        "file,class,probability,class file,b\n\\udcff.png,b,0.750000,0.250000,0.750000\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "digits/9", "x.png"), "model 'digits' has no version '9'; it has 1@candidate"),
        (("predict", "digit", "x.png"), "unknown model 'digit'; known: digits; did you mean 'digits'?"),
        (("predict", "../../etc", "x.png"), "unknown model '..'"),
        (("evaluate", "digits", "--from", "absent"), "--from must be a file or folder that exists"),
        (("promote", "digits", "9"), "model 'digits' has no version 9"),
        (("history", "nothing"), "unknown model 'nothing'"),
        (("reproduce-model", "digits@champion"), "has no version '@champion'"),
    ],
)
def test_a_name_that_is_not_there(
    study: Study, registered: Registry, arguments: tuple[str, ...], message: str
) -> None:
    done = study(registered.home, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_without_any_model(study: Study, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert "no models yet" in study(home, "models").stdout
    done = study(home, "predict", "digits", "x.png")
    assert (done.returncode, "there are no models in" in done.stderr) == (2, True)
    assert not home.folder.exists(), "looking makes nothing"


def test_every_command_shows_an_example(study: Study, tmp_path: Path) -> None:
    for command in ("models", "promote", "rollback", "history", "predict", "evaluate", "reproduce-model"):
        assert f"study {command}" in study(Home(tmp_path), command, "--help").stdout.split("Example:")[1]


def test_from_refusal_to_rollback(study: Study, sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    for share in (0.9, 0.8, 0.97):
        add(registry, classifier, share)
    assert "digits/1 is champion now" in study(registry.home, "promote", "digits", "1").stdout
    refused = study(registry.home, "promote", "digits", "2")
    assert refused.returncode == 2
    for words in (
        "accuracy",
        "0.8997",
        "0.8",
        "McNemar",
        "accuracy is worse by",
        "digits/2 is not promoted",
        "--force --reason",
    ):
        assert words in refused.stdout
    forced = json.loads(
        study(registry.home, "promote", "digits", "2", "--force", "--reason", "a test", "--json").stdout
    )
    assert (forced["kind"], forced["forced"], forced["champion_after"]) == ("promoted", True, 2)
    assert "digits/1 is champion again" in study(registry.home, "rollback", "digits").stdout
    told = study(registry.home, "history", "digits").stdout
    for words in (
        "promoted digits/1",
        "digits/2 was refused",
        "digits/2 in place of digits/1, forced",
        "a test",
        "went back to digits/1",
    ):
        assert words in told
    listed = {
        tree["number"]: tree["aliases"]
        for tree in json.loads(study(registry.home, "models", "digits", "--json").stdout)
    }
    assert listed == {1: ["champion"], 2: ["previous"], 3: ["candidate"]}


def test_own_images_are_measured_by_the_names_of_their_classes(
    study: Study, registered: Registry, tmp_path: Path
) -> None:
    split = Dataset.open(registered.home.datasets / "digits").validation
    for number, (image, label) in enumerate(zip(split.images[:150], split.labels[:150], strict=True)):
        if label < 6:
            (tmp_path / "own" / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.squeeze()).resize((32, 32)).save(
                tmp_path / "own" / str(label) / f"{number}.png"
            )
    tree = json.loads(
        study(registered.home, "evaluate", "digits", "--from", tmp_path / "own", "--json").stdout
    )
    assert tree["num_images"] == int((split.labels[:150] < 6).sum())
    assert tree["absent"] == ["6", "7", "8", "9"]
    accuracy = tree["metrics"]["accuracy"]
    assert 0.3 < accuracy["low"] < accuracy["value"] <= accuracy["high"]
    assert [row["num_images"] for row in tree["classes"]] == [
        *np.bincount(split.labels[:150], minlength=10)[:6].tolist(),
        0,
        0,
        0,
        0,
    ]
    assert (
        "no image of 6, 7, 8, 9"
        in study(registered.home, "evaluate", "digits", "--from", tmp_path / "own").stdout
    )
    assert [folder.name for folder in registered.home.datasets.iterdir()] == ["digits"], "nothing was stored"


def test_classes_that_the_model_does_not_know(
    study: Study, registered: Registry, digit: Path, tmp_path: Path
) -> None:
    for name in ("zero", "1"):
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / "0.png").write_bytes(digit.read_bytes())
    done = study(registered.home, "evaluate", "digits", "--from", tmp_path / "own")
    assert done.returncode == 2
    assert "the model knows no class 'zero'; it knows 0, 1, 2" in done.stderr
    assert "--relabel" in done.stderr
    done = study(
        registered.home,
        "evaluate",
        "digits",
        "--from",
        tmp_path / "own",
        "--relabel",
        "0=zero",
        "--relabel",
        "1=1",
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "own" / "1" / "bad.png").write_text("x")
    named = ("evaluate", "digits", "--from", tmp_path / "own", "--relabel", "0=zero", "--relabel", "1=1")
    assert "images that cannot be read: 1 (1/bad.png)" in study(registered.home, *named).stderr
    assert (
        "left out: images that cannot be read 1"
        in study(registered.home, *named, "--on-error", "skip").stdout
    )


def test_a_version_is_trained_again(study: Study, registered: Registry) -> None:
    done = study(registered.home, "reproduce-model", "digits/1")
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stderr
    assert (
        "reproduced (they must agree exactly, as device, threads and torch are those of then)" in done.stdout
    )


def test_another_dataset_is_no_reproduction(
    study: Study, sqlite_registry: Registry, classifier: Classifier
) -> None:
    registry = sqlite_registry
    add(registry, classifier, 0.9)
    add_dataset(registry.home.datasets, "digits", None, AddOptions(split_seed=5, replace=True))
    done = study(registry.home, "reproduce-model", "digits")
    assert done.returncode == 2
    assert "digits/1 was trained on digits with digest" in done.stderr
