"""Versions as files that others run: ONNX and programs of torch.export say what the version says."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from command_line import Study
from registering_tiny import Registry, trained
from torch import Tensor, nn

from study.home import Home
from trainables.datasets.dataset import Dataset
from trainables.errors import ExportError
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.export import largest_difference, run_eagerly, runner, write_program
from trainables.inference.int8 import quantise
from trainables.inference.program import Program, as_exported, random_images
from trainables.recipe.evaluation import Evaluation


def test_an_onnx_file_is_written_and_checked_on_the_validation_split(
    study: Study, registered: Registry, classifier: Classifier, tmp_path: Path
) -> None:
    file = tmp_path / "digits.onnx"
    done = study(registered.home, "export", "digits", "--output", file)
    assert done.returncode == 0, done.stderr
    assert "images of the validation split of digits" in done.stdout
    assert max(map(len, done.stdout.splitlines()[1:])) <= 200
    images_NHWC = Dataset.open(registered.home.datasets / "digits").validation.images[:7]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    said_NK = session.run(["probabilities"], {"images": np.array(images_NHWC)})[0]
    np.testing.assert_allclose(said_NK, classifier.probabilities_of_stored(images_NHWC), atol=1e-4)
    known = {one.key: one.value for one in onnx.load(file).metadata_props}
    assert json.loads(known["classes"]) == list(classifier.config.classes)
    assert [one.name for one in tmp_path.iterdir()] == ["digits.onnx"]


def test_a_program_of_torch_holds_the_names_of_its_classes(
    study: Study, registered: Registry, classifier: Classifier, tmp_path: Path
) -> None:
    file = tmp_path / "digits.pt2"
    tree = json.loads(
        study(registered.home, "export", "digits/1", "--format", "torch", "--output", file, "--json").stdout
    )
    assert (tree["version"], tree["num_checked"]) == ("digits/1", 200)
    assert tree["largest_difference"] <= 1e-4
    extra = {"classes.json": ""}
    program = torch.export.load(file, extra_files=extra).module()
    assert json.loads(extra["classes.json"]) == list(classifier.config.classes)
    images_NHWC = Dataset.open(registered.home.datasets / "digits").validation.images[:3]
    np.testing.assert_allclose(
        program(torch.tensor(images_NHWC)).numpy(),
        classifier.probabilities_of_stored(images_NHWC),
        atol=1e-4,
    )


@pytest.mark.parametrize("form", ["onnx", pytest.param("torch", marks=pytest.mark.slow)])
def test_8_bit_integers_lose_little_and_the_loss_is_told(
    study: Study, registered: Registry, tmp_path: Path, form: str
) -> None:
    file = tmp_path / {"onnx": "int8.onnx", "torch": "int8.pt2"}[form]
    done = study(registered.home, "export", "digits", "--format", form, "--int8", "--output", file, "--json")
    tree = json.loads(done.stdout)
    loss = tree["int8"]
    assert loss["num_images"] == len(Dataset.open(registered.home.datasets / "digits").validation)
    assert abs(loss["registered"]["value"] - loss["exported"]["value"]) < 0.05
    assert loss["registered"]["low"] < loss["registered"]["value"] <= loss["registered"]["high"]
    assert tree["num_bytes"] == file.stat().st_size


def test_without_the_dataset_the_check_is_on_random_pixels(
    study: Study, registered: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = registered.home
    (home.folder / "elsewhere").mkdir()
    (home.datasets / "digits").rename(home.folder / "elsewhere" / "digits")
    try:
        done = study(home, "export", "digits", "--output", tmp_path / "digits.onnx")
        refused = study(home, "export", "digits", "--int8", "--output", tmp_path / "int8.onnx")
    finally:
        (home.folder / "elsewhere" / "digits").rename(home.datasets / "digits")
        (home.folder / "elsewhere").rmdir()
    assert "200 images of random pixels, as the dataset digits" in " ".join(done.stdout.split())
    assert refused.returncode == 2
    assert "--int8 measures on the images of 'digits'" in refused.stderr
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.slow
def test_onnx_of_all_that_may_be_inside_agrees(
    digits_home: Home, classifier: Classifier, tmp_path: Path
) -> None:
    """An ensemble, mirror images, a temperature, and larger images that are shrunk, with antialiasing."""

    def with_all(one: Classifier) -> Classifier:
        config = replace(
            one.config,
            recipe=replace(one.config.recipe, evaluation=Evaluation(views="flip")),
            temperature=2.5,
            preprocessing=replace(one.config.preprocessing, height=20, width=24),
        )
        return Classifier(config, one.module.state_dict(), device=torch.device("cpu"))

    made = Ensemble([with_all(classifier), with_all(trained(digits_home, seed=1))])
    write_program(Program(made), made, tmp_path / "any.onnx", "onnx")
    images_NHWC = np.random.default_rng(0).integers(256, size=(5, 20, 24, 1), dtype=np.uint8)
    difference = largest_difference(
        runner(tmp_path / "any.onnx", "onnx")(images_NHWC), made.probabilities_of_stored(images_NHWC)
    )
    assert difference <= 1e-4


def test_samples_of_dropout_are_left_out_on_both_sides(classifier: Classifier) -> None:
    recipe = classifier.config.recipe
    recipe = replace(
        recipe, model=replace(recipe.model, dropout=0.5), evaluation=Evaluation(dropout_samples=4)
    )
    sampled = Classifier(replace(classifier.config, recipe=recipe), classifier.module.state_dict())
    assert as_exported(sampled).config.recipe.evaluation.dropout_samples == 0


class _Undecided(nn.Module):
    """A network that no program can be made of: what it computes depends on the pixels."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return (
            torch.ones(len(images_BCHW), 10) if images_BCHW.mean() > 0 else torch.zeros(len(images_BCHW), 10)
        )


class _CallsALayerTwice(nn.Module):
    """As each block of torchvision's ResNets does with its ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.relu, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Linear(8, 10)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        maps = self.relu(self.norm(self.first(images_BCHW)))
        return self.last(self.relu(self.second(maps) + maps).mean((2, 3)))


def test_a_network_that_calls_a_layer_twice_is_quantised(classifier: Classifier) -> None:
    torch.manual_seed(0)
    program = Program(classifier)
    program.members[0].module = _CallsALayerTwice().eval().requires_grad_(False)
    images_NHWC = random_images(classifier, 32)
    before = run_eagerly(program, images_NHWC)
    quantise(program, images_NHWC)
    after = run_eagerly(program, images_NHWC)
    assert 0 < largest_difference(before, after) < 0.01
    weights = [tensor for tensor in program.state_dict().values() if tensor.ndim > 1]
    assert {tensor.dtype for tensor in weights} == {torch.int8}, "no other weights are left beside them"


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_what_does_not_export_leaves_no_file(classifier: Classifier, tmp_path: Path, form: str) -> None:
    program = Program(classifier)
    program.members[0].module = _Undecided()
    with pytest.raises(ExportError, match="does not export"):
        write_program(program, classifier, tmp_path / "program", form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "absent/x.onnx"), "--output must name a file in a folder that exists"),
        (("--output", "x.bin"), "--output must end in .onnx for --format onnx"),
        (("--format", "torch", "--output", "x.onnx"), "--output must end in .pt2 for --format torch"),
    ],
)
def test_a_file_that_cannot_be(
    study: Study, registered: Registry, arguments: tuple[str, ...], message: str
) -> None:
    done = study(registered.home, "export", "digits", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [("onnxscript", ("--output", "x.onnx"), "onnx"), ("torchao", ("--int8", "--output", "x.onnx"), "int8")],
)
def test_a_package_that_is_not_installed_is_named(
    study: Study,
    registered: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    arguments: tuple[str, ...],
    extra: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    done = study(registered.home, "export", "digits", *arguments)
    assert done.returncode == 2
    assert f"uv sync --extra {extra}" in done.stderr
    assert list(tmp_path.iterdir()) == []
