"""Weights that hold code: nothing of it runs, wherever they are read, and one message says what is wrong."""

import os
from pathlib import Path

import pytest
import torch
from command_line import Study
from registering_tiny import CPU, Registry, trained

from study.home import Home
from study.registry.version_files import fetch
from study.registry.version_layout import CLASSIFIER
from study.registry.versions import find_version
from trainables.datasets.dataset import Dataset
from trainables.errors import WeightsError
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import load_classifier
from trainables.training.loop import Training
from trainables.training.training_state import STATE_FILE


class _Command:
    """Once unpickled, it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.file}",)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """What is there once code was run."""
    return tmp_path / "ran"


def plant(file: Path, trace: Path) -> None:
    torch.save({"weight": _Command(trace)}, file)
    torch.load(file, weights_only=False)
    assert trace.exists(), "the trap works"
    trace.unlink()


def test_a_registered_version(
    study: Study, sqlite_registry: Registry, classifier: Classifier, trace: Path
) -> None:
    registry = sqlite_registry
    registry.add(classifier)
    folder = fetch(registry.client, registry.home, find_version(registry.client, "digits"), CLASSIFIER)
    plant(folder / "weights.pt", trace)
    with pytest.raises(
        WeightsError,
        match=r"must hold tensors and plain values alone, and holds .*, which is code; nothing of it was run",
    ):
        load_classifier(folder)
    done = study(registry.home, "predict", "digits", "x.png")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "which is code; nothing of it was run" in done.stderr
    assert not trace.exists()


def test_weights_that_a_training_starts_from(digits_home: Home, tmp_path: Path, trace: Path) -> None:
    plant(tmp_path / "weights.pt", trace)
    with pytest.raises(WeightsError, match="which is code; nothing of it was run"):
        trained(digits_home, model={"architecture": "cnn2-32x64", "weights": str(tmp_path / "weights.pt")})
    assert not trace.exists()


def test_a_checkpoint(digits_home: Home, classifier: Classifier, tmp_path: Path, trace: Path) -> None:
    training = Training(classifier.config.recipe, Dataset.open(digits_home.datasets / "digits"), device=CPU)
    plant(tmp_path / STATE_FILE, trace)
    with pytest.raises(WeightsError, match="which is code; nothing of it was run"):
        training.load(tmp_path)
    assert not trace.exists()
