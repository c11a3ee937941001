"""A study that is ended in each way and resumed: nothing measured is lost, nothing is done twice."""

import re
import signal
import subprocess
import time
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


def test_a_study_that_is_ended_in_each_way_loses_nothing(home_with_digits: Home, tmp_path: Path) -> None:
    home = home_with_digits
    file = tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump(SPEC))

    terminated = start(home, "run", str(file))
    wait_until_running(home, "cut", terminated, num_ended=1)
    terminated.send_signal(signal.SIGTERM)
    _, said = end(terminated)
    assert terminated.returncode == 130
    assert "Go on with: study resume cut" in said
    before = StudyResult.read(home.studies / "cut")
    assert before.state == "interrupted"
    assert before.final is None
    assert "RUNNING" not in statuses(home).values()

    check_that_another_dataset_is_refused(home)
    leaving = start(home, "resume", "cut")
    wait_until_running(home, "cut", leaving, num_ended=2)
    leaving.send_signal(signal.SIGINT)
    time.sleep(0.2)
    leaving.send_signal(signal.SIGINT)
    begun = time.monotonic()
    end(leaving)
    assert time.monotonic() - begun < 60
    assert leaving.returncode == 130

    without_ray = start(home, "resume", "cut")
    wait_until_running(home, "cut", without_ray, num_ended=3)
    for raylet in wait_for_processes(without_ray.pid, "raylet"):
        raylet.kill()
    _, said = end(without_ray)
    assert without_ray.returncode == 2
    assert "Ray's own process on this machine has ended" in said
    assert "study resume" in said
    assert "RUNNING" not in statuses(home).values()

    killed = start(home, "resume", "cut")
    wait_until_running(home, "cut", killed, num_ended=4)
    killed.kill()
    killed.communicate(timeout=PATIENCE_SECONDS)

    resumed = start(home, "resume", "cut")
    shown, said = end(resumed)
    assert resumed.returncode == 0, said
    assert "registered model     digits version 1" in shown

    after = StudyResult.read(home.studies / "cut")
    assert [(trial.state, len(trial.values)) for trial in after.trials] == [("complete", 25)] * 5
    assert statuses(home) == {str(number): "FINISHED" for number in range(5)}
    for trial in before.trials:
        assert after.trials[trial.number].point == trial.point
        assert dict(trial.values).items() <= dict(after.trials[trial.number].values).items(), (
            "a measured epoch changed"
        )
    uninterrupted = StudyRecord.create(tmp_path, "whole", objectives=after.spec.objectives)
    drawn = [uninterrupted.ask(find_space("digits"), seed=3) for _ in range(5)]
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
    process = start(home_with_digits, "run", str(file))
    wait_until_running(home_with_digits, "cut", process, num_ended=1)
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
