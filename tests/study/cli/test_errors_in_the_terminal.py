"""At the terminal: one clear message, exit code 2, quickly, with no Ray started and nothing half-written."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.home import Home

GOOD = "study: s\ndataset: digits\nsearch_space: digits\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\n"


def study(*arguments: str | Path, home: Home, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from study.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "STUDY_HOME": str(home.folder), **environment}, check=False, timeout=60
    )


def seconds_of(argument: str, home: Home) -> float:
    start = time.monotonic()
    assert study(argument, home=home).returncode == 0
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "trials: 3", "unknown key 'trials'"),
        (GOOD.replace("digits\n", "digit\n", 1), "unknown dataset 'digit'; known: digits; did you mean 'digits'?"),
        (GOOD + "fix: {architecture: resnet81}", "unknown architecture 'resnet81'"),
        (GOOD + "fix: {freeze_depth: 9}", "freeze_depth of cnn2-32x64 must lie in [0, 2]"),
        (GOOD + "narrow: {dropout: [0.5, 0.1]}", "narrow 'dropout' needs low <= high"),
        (GOOD + "budget: {trials: -1}", "budget.trials: input should be greater than or equal to 1, got -1"),
        ("- study", "a study file is a mapping of keys to values"),
        (BOMB, "anchors and aliases (& and *) are not read; write the value out"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_study_file(home: Home, tmp_path: Path, command: str, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    start = time.monotonic()
    done = study(command, file, home=home)
    seconds = time.monotonic() - start
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not home.studies.exists()
    assert seconds < 5


def test_an_mlflow_that_does_not_answer(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD)
    done = study("run", file, home=home, MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert done.returncode == 2
    assert "MLflow at http://127.0.0.1:1 does not answer" in done.stderr
    assert not home.studies.exists()


def test_a_cluster_that_does_not_answer(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD)
    done = study("run", file, home=home, RAY_ADDRESS="127.0.0.1:1")
    assert done.returncode == 2
    assert "no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1" in done.stderr
    assert not home.studies.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nothing"), "unknown study 'nothing'; known: none"),
        (("resume", "nothing"), "unknown study 'nothing'"),
        (("data", "show", "digit"), "did you mean 'digits'"),
        (("data", "add", "digits"), "--replace"),
        (("data", "add", "faces"), "--from"),
        (("data", "add", "faces", "--from", "/nonexistent"), "/nonexistent"),
        (("data", "add", "faces", "--from", ".", "--relabel", "shoes"), "--relabel takes NEW=OLD,OLD"),
        (("data", "add", "a/b", "--from", "."), "a/b"),
        (("ui",), "there are no runs in"),
        (("check", "nothing.yaml"), "nothing.yaml: cannot be read"),
    ],
)
def test_a_bad_argument(home: Home, arguments: tuple[str, ...], message: str) -> None:
    done = study(*arguments, home=home)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_answers_at_once_and_every_command_shows_an_example(home: Home) -> None:
    assert min(seconds_of("--help", home) for _ in range(3)) < 1, "heavy imports must wait until they are needed"
    for command in ("quickstart", "check", "run", "resume", "list", "show", "ui", "data add", "data list", "data show"):
        assert f"study {command}" in study(*command.split(), "--help", home=home).stdout.split("Example:")[1]


def test_check_prints_the_space_the_trials_and_the_cost(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD + "budget: {trials: 7, epochs: 3}\nstart_from: [{dropout: 0.25}]")
    start = time.monotonic()
    done = study("check", file, home=home)
    assert time.monotonic() - start < 5
    assert done.returncode == 0, done.stderr
    for words in (
        "7 trials of at most 3 epochs",
        "learning_rate",
        "[0.0003, 0.03] log",
        "start_from[0]",
        "very roughly",
        "The study can run.",
    ):
        assert words in done.stdout
