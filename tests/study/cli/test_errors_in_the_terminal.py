"""At the terminal: one clear message, exit code 2, quickly, with no Ray started and nothing half-written."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Study
from quoting import keep_speed

from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec

GOOD = "study: s\ndataset: digits\nsearch_space: digits\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\n"


def in_a_process(home: Home, *arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """The command line in a process of its own, and the seconds that it computed: others may keep it
    waiting.
    """
    command = [sys.executable, "-c", "from study.cli.main import main; main()", *map(str, arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "STUDY_HOME": str(home.folder)},
        check=False,
        timeout=600,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "trials: 3", "unknown key 'trials'"),
        (
            GOOD.replace("digits\n", "digit\n", 1),
            "unknown dataset 'digit'; known: digits; did you mean 'digits'?",
        ),
        (GOOD + "fix: {architecture: resnet81}", "unknown architecture 'resnet81'"),
        (GOOD + "fix: {freeze_depth: 9}", "freeze_depth of cnn2-32x64 must lie in [0, 2]"),
        (GOOD + "narrow: {dropout: [0.5, 0.1]}", "narrow 'dropout' needs low <= high"),
        (GOOD + "budget: {trials: -1}", "budget.trials must be at least 1, got -1"),
        ("- study", "a study file is a mapping of keys to values"),
        (BOMB, "anchors and aliases (& and *) are not read; write the value out"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_study_file(
    study: Study, home: Home, tmp_path: Path, command: str, text: str, message: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    done = study(home, command, file)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert not home.studies.exists()


def test_a_place_that_cannot_be_used_is_one_message(
    study: Study, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    (tmp_path / "a?b").symlink_to(home.folder)
    done = study(Home(tmp_path / "a?b"), "check", file)
    assert done.returncode == 2
    assert "cannot name a folder with '?'; choose another folder" in done.stderr
    file.unlink()
    file.symlink_to(file)
    done = study(home, "check", file)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_a_bad_study_file_costs(home: Home, tmp_path: Path, command: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD + "fix: {freeze_depth: 9}")
    done, seconds = in_a_process(home, command, file)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not home.studies.exists()
    assert seconds < 5


def test_an_mlflow_that_does_not_answer(
    study: Study, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    done = study(home, "run", file)
    assert done.returncode == 2
    assert "MLflow at http://127.0.0.1:1 does not answer" in done.stderr
    assert not home.studies.exists()


def test_a_cluster_that_does_not_answer(
    study: Study, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    done = study(home, "run", file)
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
        (("check", "x" * 5000), "there is neither a file 'xxx"),
        (("show", "x" * 5000), "unknown study 'xxx"),
        (("data", "show", "x" * 5000), "unknown dataset 'xxx"),
        (("data", "add", "d", "--from", "x" * 5000), "--from must be a file or folder that exists, got xxx"),
        (("data", "add", "x" * 5000), "a dataset's name has at most 64 letters"),
        (("extend", "s", "--hours", "nan"), "hours"),  # by click, or by us where its range takes it
        (("extend", "s", "--hours", "inf"), "at most 1,000,000 trials and 100,000 hours, got 0 and inf"),
        (
            ("extend", "s", "--trials", "1" + "0" * 30),
            "at most 1,000,000 trials and 100,000 hours, got 1e+30",
        ),
        (("recipes", "\x1b[31m"), r"unknown recipe '\x1b[31m'"),
    ],
)
def test_a_bad_argument(study: Study, home: Home, arguments: tuple[str, ...], message: str) -> None:
    done = study(home, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


def test_help_answers_at_once(home: Home) -> None:
    assert min(in_a_process(home, "--help")[1] for _ in range(3)) < 1, (
        "heavy imports must wait until they are needed"
    )


@pytest.mark.parametrize(
    "command",
    ["quickstart", "check", "run", "resume", "list", "show", "ui", "data add", "data list", "data show"],
)
def test_every_command_shows_an_example(study: Study, home: Home, command: str) -> None:
    assert f"study {command}" in study(home, *command.split(), "--help").stdout.split("Example:")[1]


def test_the_second_check_measures_nothing_and_takes_little(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD + "budget: {trials: 7, epochs: 3}\nstart_from: [{dropout: 0.25}]")
    keep_speed(plan_study(StudySpec.read(file), home))
    done, seconds = in_a_process(home, "check", file)
    assert seconds < 5
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in (
        "7 trials, about ",
        " epochs after early stopping",
        "learning_rate",
        "[0.0003, 0.03] log",
        "start_from[0]",
        "done by about",
        "The study can run.",
    ):
        assert words in done.stdout
