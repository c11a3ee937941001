import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.__main__ import main
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.feature_cache import gain
from trainables.inference.classifier import Classifier
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

RECIPE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64"),
    phases=(Phase(epochs=3, learning_rate=3e-3),),
    batch_size=16,
)

BLOCKER = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "mlflow", "optuna", "pydantic", "study", "search_spaces", "cluster"):
            raise ImportError(f"{name} is blocked")
        if name == "torch._dynamo":
            raise AssertionError("torch's compiler takes seconds to import, and nothing here is compiled")

sys.meta_path.insert(0, Blocker())
runpy.run_module("trainables", run_name="__main__")
"""


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory) -> Path:
    """A stored dataset of two classes, dark and bright."""
    root = tmp_path_factory.mktemp("stored")
    generator = np.random.default_rng(0)
    for label, name in enumerate(("dark", "bright")):
        folder = root / "source" / name
        folder.mkdir(parents=True)
        for i in range(40):
            Image.fromarray(generator.integers(100 * label, 100 * label + 100, (8, 8), dtype=np.uint8)).save(
                folder / f"{i}.png"
            )
    add_dataset(root / "home", "light", root / "source", AddOptions())
    return root / "home" / "light"


@pytest.fixture
def recipe_file(tmp_path) -> Path:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE.to_dict()))
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_prints_a_line_per_epoch_and_keeps_the_best_classifier(dataset_folder, recipe_file, tmp_path, capsys):
    output = tmp_path / "trained"
    assert (
        run("--dataset", dataset_folder, "--recipe", recipe_file, "--device", "cpu", "--output", output) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert re.match(
        r"epoch 3/3  loss \d\.\d+  validation loss .* accuracy 1\.0+  macro-F1 1\.0+  \d+ images/s  "
        "about 0 s left",
        lines[3],
    )
    dataset = Dataset.open(dataset_folder)
    probabilities_NK = Classifier.load(output, device=torch.device("cpu")).probabilities(
        dataset.validation.images
    )
    assert (probabilities_NK.argmax(1) == dataset.validation.labels).all()


def test_says_what_becomes_of_frozen_layers(dataset_folder, tmp_path, capsys, monkeypatch):
    head = Phase(epochs=2, learning_rate=3e-3, freeze_depth=2)
    path = tmp_path / "recipe.json"
    recipe = dataclasses.replace(RECIPE, phases=(head, Phase(epochs=1, learning_rate=1e-3)))
    path.write_text(json.dumps(recipe.to_dict()))
    told = []
    for least in (1e30, 0):
        monkeypatch.setattr(gain, "LEAST_FLOPS", least)
        assert run("--dataset", dataset_folder, "--recipe", path, "--device", "cpu") == 0
        told.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("phase")])
    assert told[0] == ["phase 1: the frozen layers are computed anew each epoch: they take too little"]
    assert len(told[1]) == 1, "once a phase, and nothing where nothing is frozen"
    assert told[1][0].startswith("phase 1: the frozen layers up to pooling are computed once for ")


def test_the_same_command_continues_what_was_stopped(dataset_folder, recipe_file, tmp_path, capsys):
    from trainables.training.loop import Training

    class Stopped(Training):
        def save(self, folder: Path) -> None:
            super().save(folder)
            if self.num_epochs_done == 2:
                raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run("--dataset", dataset_folder, "--recipe", recipe_file, "--device", "cpu", "--output", whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainables.training.loop.Training", Stopped)
        assert (
            run("--dataset", dataset_folder, "--recipe", recipe_file, "--device", "cpu", "--output", parts)
            == 130
        )
    assert "the same command continues" in capsys.readouterr().err
    assert (
        run("--dataset", dataset_folder, "--recipe", recipe_file, "--device", "cpu", "--output", parts) == 0
    )
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["epoch 3/3"]
    losses = [
        [json.loads(line)["train_loss"] for line in (folder / "epochs.jsonl").read_text().splitlines()]
        for folder in (whole, parts)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "error: --recipe must be a file that can be read"),
        ("{", "must hold a recipe as JSON"),
        ('{"data": {"image_size": 8}}', "recipe lacks 'model'"),
        (
            json.dumps(dataclasses.replace(RECIPE, model=Model(architecture="resnet81")).to_dict()),
            "did you mean 'resnet18'?",
        ),
        (
            json.dumps(RECIPE.to_dict() | {"optimizer": {"kind": "rmsprop"}}),
            "error: recipe.optimizer.kind must be one of adam, adamw, sgd, got 'rmsprop'",
        ),
    ],
)
def test_a_wrong_recipe_is_one_line_and_exit_code_2(dataset_folder, tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "wrong.json").write_text(content)
    assert (
        run(
            "--dataset", dataset_folder, "--recipe", tmp_path / "wrong.json", "--output", tmp_path / "trained"
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "trained").exists()


def test_a_wrong_dataset_or_device_is_one_line_and_exit_code_2(dataset_folder, recipe_file, tmp_path, capsys):
    assert run("--dataset", tmp_path / "nothing", "--recipe", recipe_file) == 2
    assert "unknown dataset 'nothing'" in capsys.readouterr().err
    assert run("--dataset", dataset_folder, "--recipe", recipe_file, "--device", "abacus") == 2
    assert "device must be one of cpu" in capsys.readouterr().err


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "python -m trainables --dataset datasets/digits --recipe recipe.json" in capsys.readouterr().out


WITHOUT_TORCH = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "numpy", "pyarrow"):
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Blocker())
runpy.run_module("trainables", run_name="__main__")
"""


def test_help_and_a_wrong_recipe_are_answered_without_importing_torch(dataset_folder, tmp_path):
    helped = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "--help"], capture_output=True, text=True, check=False
    )
    assert helped.returncode == 0, helped.stderr
    assert "--recipe FILE" in helped.stdout
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE.to_dict() | {"batch_size": 0}))
    arguments = ["--dataset", str(dataset_folder), "--recipe", str(tmp_path / "recipe.json")]
    refused = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: recipe.batch_size must lie in [1, 65536], got 0\n",
    )


def test_trains_where_ray_mlflow_optuna_and_pydantic_are_not_installed(dataset_folder, recipe_file):
    command = [
        sys.executable,
        "-c",
        BLOCKER,
        "--dataset",
        str(dataset_folder),
        "--recipe",
        str(recipe_file),
        "--device",
        "cpu",
    ]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert finished.returncode == 0, finished.stderr
    assert "epoch 3/3" in finished.stdout
