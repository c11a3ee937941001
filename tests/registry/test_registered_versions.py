"""What lies in a registered version, and how it is asked: by MLflow, by torch alone, and where this project
is not installed.
"""

import base64
import json
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from registering_tiny import Registry, trained
from torch import Tensor, nn

from study.connections.mlflow_client import addressed_to
from study.registry.model_card import MAX_DESCRIPTION, description
from study.registry.registration import REQUIREMENTS, _ensure_model
from study.registry.version_files import fetch
from study.registry.version_layout import CLASSIFIER, EVIDENCE, MODEL_CARD_FILE, PROGRAM_FILE
from study.registry.versions import find_version
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, load_classifier
from trainables.inference.export import export_program
from trainables.recipe.evaluation import Evaluation

WITHOUT_THE_PROJECT = """
import importlib.abc, json, pathlib, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "optuna", "study", "cluster", "search_spaces"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path = [path for path in sys.path if path != sys.argv[3]]
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
import trainables
images = pandas.DataFrame({"image": [pathlib.Path(sys.argv[2])]})
print(json.dumps([model.predict(images)["label"][0], trainables.__file__]))
"""


@pytest.fixture(scope="module")
def model(registered: Registry) -> Any:
    import mlflow

    with addressed_to(registered.home.tracking_uri):
        return mlflow.pyfunc.load_model("models:/digits/1")


@pytest.fixture(scope="module")
def digits(registered: Registry) -> np.ndarray:
    return Dataset.open(registered.home.datasets / "digits").validation.images[:7]


@pytest.fixture(scope="module")
def folder(registered: Registry) -> Path:
    """Where the version's files are."""
    return fetch(
        registered.client, registered.home, find_version(registered.client, "digits/1"), CLASSIFIER
    ).parent


def png(image: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def probabilities(table: pd.DataFrame) -> np.ndarray:
    return table.drop(columns="label").to_numpy(np.float32)


def test_bytes_text_paths_and_pixels_are_one_image(
    model: Any, digits: np.ndarray, classifier: Classifier, tmp_path: Path
) -> None:
    image = digits[0].squeeze()
    file = tmp_path / "digit.png"
    file.write_bytes(png(image))
    gray_and_alpha, rgb = np.stack([image, np.full_like(image, 255)], 2), np.stack([image] * 3, 2)
    rows = [
        png(image),
        base64.b64encode(png(image)).decode(),
        file,
        image,
        image[:, :, None],
        gray_and_alpha,
        rgb,
        image.tolist(),
    ]
    table = model.predict(pd.DataFrame({"image": rows}))
    assert list(table.columns) == ["label", *map(str, range(10))]
    np.testing.assert_allclose(
        probabilities(table), np.repeat(classifier.probabilities([image]), len(rows), 0), atol=1e-6
    )
    assert set(table["label"]) == {str(probabilities(table)[0].argmax())}


def test_images_of_any_size_are_taken(model: Any, digits: np.ndarray) -> None:
    image = digits[0].squeeze()
    rows = [np.asarray(Image.fromarray(image).resize(size)) for size in ((1, 1), (5, 90), (300, 200))]
    assert len(model.predict(pd.DataFrame({"image": rows}))) == 3


def test_text_is_never_the_path_of_a_file(model: Any, tmp_path: Path, digits: np.ndarray) -> None:
    file = tmp_path / "digit.png"
    file.write_bytes(png(digits[0].squeeze()))
    for text in (str(file), file.as_uri(), "/etc/passwd"):
        with pytest.raises(ValueError, match=r"text must be an image file in base64"):
            model.predict(pd.DataFrame({"image": [text]}))
    with pytest.raises(ValueError, match=r"absent\.png cannot be read: No such file"):
        model.predict(pd.DataFrame({"image": [tmp_path / "absent.png"]}))


def test_it_predicts_where_neither_the_project_nor_ray_nor_optuna_is(
    folder: Path, digits: np.ndarray, tmp_path: Path
) -> None:
    file, project = tmp_path / "digit.png", Path(__file__).parents[2]
    file.write_bytes(png(digits[0].squeeze()))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_PROJECT, str(folder.parent), str(file), str(project)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    label, code = json.loads(done.stdout.splitlines()[-1])
    assert label in "0123456789"
    assert str(project / "trainables") not in code, "the code that travels with the version was used"


def test_program_and_model_agree(model: Any, digits: np.ndarray, folder: Path) -> None:
    program = torch.export.load(folder / PROGRAM_FILE).module()
    for num_images in (1, 2, 7):
        table = model.predict(pd.DataFrame({"image": [image.squeeze() for image in digits[:num_images]]}))
        exported_NK = program(torch.from_numpy(digits[:num_images].copy())).numpy()
        np.testing.assert_allclose(exported_NK, probabilities(table), atol=1e-4)


@pytest.mark.parametrize("kind", ["ensemble", "flip", "temperature", "shrinking"])
def test_programs_of_all_kinds_agree(
    digits_home: Any, classifier: Classifier, digits: np.ndarray, tmp_path: Path, kind: str
) -> None:
    made = {
        "ensemble": lambda: Ensemble([classifier, trained(digits_home, seed=1)]),
        "flip": lambda: _asked(classifier, Evaluation(views="flip")),
        "temperature": lambda: Classifier(
            replace(classifier.config, temperature=2.5), classifier.module.state_dict()
        ),
        "shrinking": lambda: _of_larger_images(classifier),
    }[kind]()
    sentence = export_program(made, tmp_path / "program.pt2")
    assert sentence.startswith("It takes uint8 images (any number, "), sentence
    side = made.config.preprocessing.height
    images_NHWC = digits.repeat(side // 8, 1).repeat(side // 8, 2)
    exported_NK = torch.export.load(tmp_path / "program.pt2").module()(torch.from_numpy(images_NHWC)).numpy()
    np.testing.assert_allclose(exported_NK, made.probabilities_of_stored(images_NHWC), atol=1e-4)


def _asked(classifier: Classifier, evaluation: Evaluation) -> Classifier:
    recipe = replace(classifier.config.recipe, evaluation=evaluation)
    return Classifier(replace(classifier.config, recipe=recipe), classifier.module.state_dict())


def _of_larger_images(classifier: Classifier) -> Classifier:
    pixels = replace(classifier.config.preprocessing, height=16, width=16)
    return Classifier(replace(classifier.config, preprocessing=pixels), classifier.module.state_dict())


class _Undecided(nn.Module):
    """A network that no program can be made of: what it computes depends on the pixels."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return (
            torch.ones(len(images_BCHW), 10) if images_BCHW.mean() > 0 else torch.zeros(len(images_BCHW), 10)
        )


class _WithoutProgram(Classifier):
    @property
    def module(self) -> nn.Module:
        return _Undecided()


def test_what_does_not_export_says_so(classifier: Classifier, tmp_path: Path) -> None:
    undecided = _WithoutProgram(classifier.config, classifier.module.state_dict())
    sentence = export_program(undecided, tmp_path / "program.pt2")
    assert sentence.startswith("This architecture does not export (")
    assert not (tmp_path / "program.pt2").exists()


def test_a_version_without_program_is_registered(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    registry.add(_WithoutProgram(classifier.config, classifier.module.state_dict()))
    files = fetch(registry.client, registry.home, find_version(registry.client, "digits"), CLASSIFIER).parent
    assert "This architecture does not export" in (files / MODEL_CARD_FILE).read_text()
    assert not (files / PROGRAM_FILE).exists()


def test_an_ensemble_is_one_version(
    sqlite_registry: Registry, classifier: Classifier, digits_home: Any, digits: np.ndarray
) -> None:
    registry, members = sqlite_registry, Ensemble([classifier, trained(digits_home, seed=1)])
    registry.add(members)
    files = fetch(registry.client, registry.home, find_version(registry.client, "digits"), CLASSIFIER)
    np.testing.assert_array_equal(
        load_classifier(files).probabilities_of_stored(digits), members.probabilities_of_stored(digits)
    )
    assert "The mean of 2 networks" in registry.client.get_model_version("digits", "1").description


def test_a_version_has_card_signature_example_requirements_and_links(
    registered: Registry, model: Any, folder: Path
) -> None:
    version = registered.client.get_model_version("digits", "1")
    card = (folder / MODEL_CARD_FILE).read_text()
    for words in (
        "# digits: trial-0007 of study by-hand",
        "## Intended use",
        "| accuracy | 0.",
        "| class | images | recall | precision |",
        "## Limits",
        f"Digest: `{version.tags['dataset.digest']}`",
        f"MLflow run `{version.run_id}`",
        "## Exported program (`program.pt2`)\n\nIt takes uint8 images",
        '"architecture": "cnn2-32x64"',
    ):
        assert words in card
    assert version.description == description(card)
    assert version.tags["study.name"] == "by-hand"
    assert registered.alias("candidate") == 1
    assert model.metadata.signature.inputs.input_names() == ["image"]
    assert model.metadata.signature.outputs.input_names() == ["label", *map(str, range(10))]
    assert model.predict(model.input_example)["label"][0] in "0123456789"
    pinned = (folder.parent / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in pinned] == list(REQUIREMENTS)
    assert all("==" in line for line in pinned)


def test_a_version_lies_in_the_home_and_holds_no_pickle(registered: Registry, folder: Path) -> None:
    assert folder.is_relative_to(registered.home.artifacts)
    names = {file.name for file in folder.parent.rglob("*")}
    assert {"weights.pt", "recipe.json", PROGRAM_FILE, MODEL_CARD_FILE, EVIDENCE} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))}
    assert not names & {"uv.lock", "pyproject.toml"}, (
        "the project where it was registered is nobody's business"
    )


def test_a_long_card_is_cut_where_nothing_breaks() -> None:
    card = "# title\n" + "| a | b |\n" * 100 + "```json\n" + "1,\n" * 3000 + "```\n"
    kept = description(card)
    assert len(kept) <= MAX_DESCRIPTION
    assert kept.count("```") == 2
    assert kept.endswith("the whole model card is the artifact `model_card.md`")


def test_the_model_says_what_it_predicts_and_where_versions_come_from(registered: Registry) -> None:
    client = registered.client
    described = client.get_registered_model("digits").description
    for part in (
        "dataset `digits` (8x8 gray)",
        "10 classes: 0, 1, 2",
        "result of a study",
        "study history digits",
    ):
        assert part in described
    _ensure_model(client, "digits", described.replace("10 classes", "9 classes"))
    assert "9 classes" in client.get_registered_model("digits").description, "as the dataset is by now"
    _ensure_model(client, "digits", described)
    client.create_registered_model("by-hand", description="Somebody's own words.")
    _ensure_model(client, "by-hand", described)
    assert client.get_registered_model("by-hand").description == "Somebody's own words."
    client.delete_registered_model("by-hand")
