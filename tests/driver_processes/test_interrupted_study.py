"""A study that is ended in each way and resumed: nothing measured is lost, nothing is done twice."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from study_process import PATIENCE_SECONDS, start, wait_for_processes, wait_until_running

from search_spaces.named import find_space
from study.connections.mlflow_client import connect
from study.home import Home
from study.results.study_result import StudyResult
from study.search.record.study_record import StudyRecord
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

SPEC = {
    "study": "cut",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 5, "epochs": 25},
    "early_stopping": "none",
    "resources": {"max_concurrent": 1},
    "seed": 3,
}


def statuses(home: Home) -> dict[str, str]:
    """MLflow's status of each trial's run; a trial with two runs is an error."""
    client = connect(home.tracking_uri)
    result = StudyResult.read(home.studies / "cut")
    query = f"tags.`mlflow.parentRunId` = '{result.run_id}'"
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], query)
    found = {run.data.tags["study.trial"]: run.info.status for run in runs}
    assert len(found) == len(runs), "a trial has two runs"
    return found


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a driver printed until its end, and said on stderr, where nothing is a traceback or Ray's own."""
    shown, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert not re.search(r"Traceback|\*\*\*|raylet|state-dump", said), said
    return shown, said


def terminate(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    _, said = end(process)
    assert process.returncode == 130
    assert "Go on with: study resume cut" in said


def interrupt_twice(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    end(process)
    assert time.monotonic() - begun < 60
    assert process.returncode == 130


def kill_the_raylet(process: subprocess.Popen[str]) -> None:
    for raylet in wait_for_processes(process.pid, "raylet"):
        raylet.kill()
    _, said = end(process)
    assert process.returncode == 2
    assert "Ray's own process on this machine has ended" in said
    assert "study resume" in said


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_a_study_that_is_ended_in_each_way_and_resumed_loses_nothing(
    home_with_digits: Home, tmp_path: Path
) -> None:
    ends: list[Callable[[subprocess.Popen[str]], None]] = [terminate, interrupt_twice, kill_the_raylet, kill]
    home, file, num_trials = home_with_digits, tmp_path / "cut.yaml", len(ends) + 1
    file.write_text(yaml.safe_dump({**SPEC, "budget": {"trials": num_trials, "epochs": 25}}))
    words = ["run", str(file)]
    states: list[StudyResult] = []
    for number, ended in enumerate(ends):
        process = start(home, *words)
        wait_until_running(home, "cut", process, num_ended=number)
        ended(process)
        states.append(StudyResult.read(home.studies / "cut"))
        assert (states[-1].state, states[-1].final) == ("interrupted", None)
        assert ended is kill or "RUNNING" not in statuses(home).values()
        words = ["resume", "cut"]
    check_that_another_dataset_is_refused(home)
    resumed = start(home, *words)
    shown, said = end(resumed)
    assert resumed.returncode == 0, said
    assert "registered model     digits version 1" in shown

    after = StudyResult.read(home.studies / "cut")
    assert [(trial.state, len(trial.values)) for trial in after.trials] == [("complete", 25)] * num_trials
    assert statuses(home) == {str(number): "FINISHED" for number in range(num_trials)}
    for trial in (trial for before in states for trial in before.trials):
        assert after.trials[trial.number].point == trial.point
        assert dict(trial.values).items() <= dict(after.trials[trial.number].values).items(), (
            "a measured epoch changed"
        )
    uninterrupted = StudyRecord.create(tmp_path, "whole", objectives=after.spec.objectives)
    drawn = [uninterrupted.ask(find_space("digits"), seed=3) for _ in range(num_trials)]
    assert [trial.point for trial in after.trials] == [point for _, point in filter(None, drawn)]


def check_that_another_dataset_is_refused(home: Home) -> None:
    add_dataset(home.datasets, "digits", None, AddOptions(split_seed=1, replace=True))
    refused = start(home, "resume", "cut")
    assert "dataset 'digits' was replaced since the study began" in end(refused)[1]
    assert refused.returncode == 2
    add_dataset(home.datasets, "digits", None, AddOptions(replace=True))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangup", "head"])
def test_rarer_ends_are_told_too(home_with_digits: Home, tmp_path: Path, how: str) -> None:
    file = tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # children inherit that nohup ignores it
    process = start(home_with_digits, "run", str(file))
    signal.signal(signal.SIGHUP, before)
    wait_until_running(home_with_digits, "cut", process, num_ended=0)
    if how == "hangup":
        process.send_signal(signal.SIGHUP)
    else:
        for head in wait_for_processes(process.pid, "head"):
            head.kill()
    begun = time.monotonic()
    _, said = end(process)
    assert process.returncode == (130 if how == "hangup" else 2)
    assert "study resume" in said
    assert time.monotonic() - begun < 60


@pytest.mark.slow
def test_a_study_of_folds_that_is_killed_measures_what_one_left_alone_does(
    home_with_digits: Home, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.yaml" for name in ("cut", "alone")}
    for name, file in files.items():
        tree = {"study": name, "budget": {"trials": 2, "epochs": 12}, "validate": {"folds": 3}}
        file.write_text(yaml.safe_dump({**SPEC, **tree}))
    process = start(home_with_digits, "run", str(files["cut"]))
    for victim in (process.pid, None):
        wait_until_running(home_with_digits, "cut", process, num_ended=0)
        if victim is None:
            for trial in wait_for_processes(process.pid, "trial"):
                trial.kill()
        else:
            kill(process)
            process = start(home_with_digits, "resume", "cut")
    end(process)
    alone = start(home_with_digits, "run", str(files["alone"]))
    end(alone)
    assert (process.returncode, alone.returncode) == (0, 0)
    cut, whole = (StudyResult.read(home_with_digits.studies / name) for name in files)
    assert [(one.point, one.state) for one in cut.trials] == [(one.point, one.state) for one in whole.trials]
    for one, other in zip(cut.trials, whole.trials, strict=True):
        assert dict(one.values) == dict(other.values), "to the last bit"
    assert set(statuses(home_with_digits).values()) == {"FINISHED"}
