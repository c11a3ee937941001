"""Trainings on several devices: each is a process of its own, here on the CPU."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from epochs import timeless

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.errors import DivergedError, MemoryExhaustedError
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.data import Data
from trainables.recipe.loss import Loss
from trainables.recipe.model import Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8, train_images=203),
    model=Model(architecture="cnn2-32x64"),
    phases=(
        Phase(epochs=1, learning_rate=1e-3, freeze_depth=1),
        Phase(epochs=2, learning_rate=2e-3, schedule="plateau"),
    ),
    optimizer=Optimizer(weight_decay=0.01, average_halflife=0.5),
    loss=Loss(label_smoothing=0.1, class_weight_power=0.5),
    augmentation=Augmentation(
        strength=0.3, flip_probability=0.5, mixing=Mixing(kind="mixup", probability=0.5)
    ),
    batch_size=40,
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("datasets")
    add_dataset(folder, "digits", None, AddOptions())
    return Dataset.open(folder / "digits")


def others(training: Training) -> list[psutil.Process]:
    assert training._workers is not None
    return [psutil.Process(process.pid) for process in training._workers._processes]


def test_two_devices_take_the_steps_of_one_that_takes_its_batches_in_halves(digits: Dataset) -> None:
    alone = Training(RECIPE, digits, device=CPU, micro_batch=20)
    together = Training(RECIPE, digits, device=CPU, others=[CPU])
    for one, two in zip(alone, together, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=1e-4)
        assert two.learning_rate == one.learning_rate
    apart = together.weights()
    for name, tensor in alone.weights().items():
        # What BatchNorm remembers of the images is of each process's own.
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(apart[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_it_goes_on_after_load_as_if_nothing_had_been(digits: Dataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, model=Model(architecture="cnn2-32x64", dropout=0.3))
    whole = timeless(list(Training(recipe, digits, device=CPU, others=[CPU])))
    first = Training(recipe, digits, device=CPU, others=[CPU])
    begun = [next(iter(first)) for _ in range(2)]
    first.save(tmp_path)
    second = Training(recipe, digits, device=CPU, others=[CPU])
    running = others(first)
    del first
    assert not any(process.is_running() for process in running), "a training that is gone leaves no process"
    second.load(tmp_path)
    assert timeless([*begun, *second]) == whole
    assert not others(second), "nor does one that has ended"


@pytest.mark.slow
def test_a_process_that_dies_is_told_and_the_training_can_go_on(digits: Dataset, tmp_path: Path) -> None:
    training = Training(RECIPE, digits, device=CPU, others=[CPU])
    next(iter(training))
    training.save(tmp_path)
    (other,) = others(training)
    other.kill()
    with pytest.raises(RuntimeError, match=r"the training's process on cpu \(signal 9\) is gone"):
        next(iter(training))
    training.load(tmp_path)
    assert [epoch.number for epoch in training] == [2, 3]


def test_a_process_without_memory_is_want_of_memory(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other process meets a torch whose first step finds no memory."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'trainables.training.worker' in sys.orig_argv:\n"
        "    import trainables.training.step\n"
        "    def take(*_, **__): raise RuntimeError('CUDA out of memory')\n"
        "    trainables.training.step.Step.take = take\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MemoryExhaustedError, match="cpu has too little memory for this training"):
        next(iter(Training(RECIPE, digits, device=CPU, others=[CPU])))


def test_gpus_that_would_wait_for_ever_end_with_the_one_that_is_gone() -> None:
    script = (
        "import subprocess, threading, trainables.training.data_parallel as data_parallel\n"
        "data_parallel.EXIT_SECONDS = 0.1\n"
        "data_parallel._end_with([subprocess.Popen(['false'])], threading.Event())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, "a further process of the training is gone\n")


def test_a_diverged_loss_ends_all(digits: Dataset) -> None:
    recipe = dataclasses.replace(
        RECIPE, optimizer=Optimizer(kind="sgd"), phases=(Phase(epochs=2, learning_rate=1e9),)
    )
    training = Training(recipe, digits, device=CPU, others=[CPU])
    with pytest.raises(DivergedError, match="training loss became"):
        list(training)
    assert not others(training)


@pytest.mark.slow
def test_the_others_end_with_the_first(digits: Dataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, phases=(Phase(epochs=500, learning_rate=1e-3),))
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    command = [
        sys.executable,
        "-m",
        "trainables",
        "--dataset",
        str(digits.folder),
        "--recipe",
        str(tmp_path / "recipe.json"),
    ]
    first = subprocess.Popen([*command, "--device", "cpu,cpu"], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    while not first.stdout.readline().startswith("epoch 1/"):
        assert first.poll() is None
    (other,) = psutil.Process(first.pid).children()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 30
    while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
