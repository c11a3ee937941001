"""Trials that fail are counted and explained; a study of nothing else registers nothing."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from command_line import Study
from study_process import wait_for_processes, wait_until_running

from study.connections.mlflow_client import connect
from study.home import Home
from study.results.study_result import StudyResult, find_study
from study.search.record.kept_weights import weights_file

SPEC = {
    "study": "failing",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 2, "epochs": 25},
    "early_stopping": "none",
    "resources": {"max_concurrent": 1},
}


def write(folder: Path, spec: dict[str, object]) -> str:
    file = folder / "failing.yaml"
    file.write_text(yaml.safe_dump(spec))
    return str(file)


def run_statuses(home: Home, result: StudyResult) -> list[str]:
    client = connect(home.tracking_uri)
    return [client.get_run(trial.run_id).info.status for trial in result.trials]


@pytest.mark.slow
def test_where_every_trial_fails_nothing_is_registered(
    local_ray: None, study: Study, home_with_digits: Home, tmp_path: Path
) -> None:
    home = home_with_digits
    done = study(home, "run", write(tmp_path, {**SPEC, "fix": {"learning_rate": 1e30}}))
    assert done.returncode == 2
    assert "none of the 2 trials has a result" in done.stderr
    assert "loss became nan in epoch 1" in done.stderr
    result = find_study(home, "failing")
    assert [trial.state for trial in result.trials] == ["failed"] * 2
    assert run_statuses(home, result) == ["FAILED"] * 2
    client = connect(home.tracking_uri)
    assert client.get_run(result.run_id).info.status == "FAILED"
    assert client.search_registered_models() == []


def kill_the_first_trial(home: Home) -> None:
    """In the middle of its training, in a study of this process."""
    wait_until_running(home, "failing", None, num_ended=0)
    for trial in wait_for_processes(os.getpid(), "trial"):
        trial.kill()


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 1])
def test_a_trial_whose_process_dies_is_retried_as_often_as_the_study_says(
    local_ray: None, study: Study, home_with_digits: Home, tmp_path: Path, retries: int
) -> None:
    home = home_with_digits
    file = write(tmp_path, {**SPEC, "resources": {"max_concurrent": 1, "retries": retries}})
    with ThreadPoolExecutor(1) as beside:
        killing = beside.submit(kill_the_first_trial, home)
        done = study(home, "run", file)
        killing.result()
    assert done.returncode == 0, done.stderr
    result = find_study(home, "failing")
    first = result.trials[0]
    assert len(first.retries) == 1
    assert "its process died" in first.retries[0]
    if retries:
        assert [trial.state for trial in result.trials] == ["complete", "complete"]
        assert run_statuses(home, result) == ["FINISHED", "FINISHED"]
    else:
        assert [trial.state for trial in result.trials] == ["failed", "complete"]
        assert "trial-0000 failed: its process died" in done.stdout
        assert run_statuses(home, result) == ["FAILED", "FINISHED"]


def break_the_first_trial(home: Home) -> None:
    """Leaves no place for the weights of its first epoch, which no configuration accounts for."""
    folder = home.studies / "failing"
    while not (folder / "study.yaml").exists():  # before it is there, the folder is not the study's
        time.sleep(0.05)
    weights_file(folder, 0).mkdir(parents=True)


@pytest.mark.slow
def test_a_trial_that_breaks_its_process_goes_on_in_a_fresh_one(
    local_ray: None, study: Study, home_with_digits: Home, tmp_path: Path
) -> None:
    home = home_with_digits
    file = write(tmp_path, {**SPEC, "resources": {"max_concurrent": 1, "retries": 1}})
    with ThreadPoolExecutor(1) as beside:
        breaking = beside.submit(break_the_first_trial, home)
        done = study(home, "run", file)
        breaking.result()
    assert done.returncode == 0, done.stderr
    first, second = find_study(home, "failing").trials
    assert (first.state, len(first.retries)) == ("failed", 2)
    assert "IsADirectoryError" in first.retries[0]
    assert second.state == "complete"
