"""Checkpoints are written while the training goes on."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from study.execution.checkpoint_writer import CheckpointWriter
from study.search.record.checkpoints import CheckpointNotes, load_checkpoint, read_notes
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8, train_images=100),
    model=Model(architecture="cnn2-32x64"),
    phases=(Phase(epochs=3, learning_rate=1e-3),),
    batch_size=20,
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The digits that come with scikit-learn."""
    folder = tmp_path_factory.mktemp("datasets")
    add_dataset(folder, "digits", None, AddOptions())
    return Dataset.open(folder / "digits")


@pytest.fixture
def other_volume(tmp_path: Path) -> Iterator[Path]:
    """A folder on another volume than a test's own."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        if os.stat(folder).st_dev == tmp_path.stat().st_dev:
            pytest.skip("this machine has one volume")
        yield Path(folder)


@pytest.mark.parametrize("way", ["in place", "through this machine's disk", "from a GPU"])
def test_what_is_written_is_the_state_of_the_call(
    digits: Dataset, tmp_path: Path, other_volume: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    local = other_volume if way == "through this machine's disk" else tmp_path / "cache"
    monkeypatch.setenv("STUDY_CACHE", str(local))
    device = torch.device("cuda") if way == "from a GPU" else CPU
    training = Training(RECIPE, digits, device=CPU)
    writer = CheckpointWriter(tmp_path)
    assert training.advance(0.0) is None
    with monkeypatch.context() as patched:
        patched.setattr(training, "device", device)
        writer.write(7, training, CheckpointNotes(best=0.5))
    rest = [epoch.metrics.log_loss for epoch in training]
    writer.wait()
    assert not writer.is_writing
    assert list(local.glob("*")) == [], "nothing stays"
    assert writer.least_seconds > 0
    resumed = Training(RECIPE, digits, device=CPU)
    assert load_checkpoint(tmp_path, 7, resumed)
    assert [epoch.metrics.log_loss for epoch in resumed] == rest
    assert read_notes(tmp_path, 7).best == 0.5


@pytest.mark.parametrize("local", ["/dev/full", "/proc/none"])
def test_a_machine_without_a_disk_of_its_own_writes_in_place(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: str
) -> None:
    monkeypatch.setenv("STUDY_CACHE", local)
    training = Training(RECIPE, digits, device=CPU)
    assert training.advance(0.0) is None
    CheckpointWriter(tmp_path).write(7, training, CheckpointNotes())
    assert load_checkpoint(tmp_path, 7, Training(RECIPE, digits, device=CPU))


def test_a_disk_that_refuses_is_told(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").write_text("no folder")
    writer = CheckpointWriter(tmp_path)
    training = Training(RECIPE, digits, device=CPU)
    with pytest.raises(OSError, match="checkpoints"):
        writer.write(0, training, CheckpointNotes())
    monkeypatch.setattr(training, "device", torch.device("cuda"))
    writer.write(0, training, CheckpointNotes())
    with pytest.raises(OSError, match="checkpoints"):
        writer.wait()
    writer.wait()
