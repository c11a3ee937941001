"""A study that is interrupted, then killed, then resumed: nothing measured is lost, nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from search_spaces.named import find_space
from study.home import Home
from study.result import StudyResult
from study.search.record import StudyRecord
from study.tracking.client import connect

SPEC = {
    "study": "cut",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 5, "epochs": 25},
    "early_stopping": "none",
    "resources": {"max_concurrent": 1},
    "seed": 3,
}
PATIENCE_SECONDS = 120


def start(home: Home, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from study.cli import main; main()", *arguments]
    environment = {**os.environ, "STUDY_HOME": str(home.folder)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_running(home: Home, process: subprocess.Popen[str], num_ended: int) -> None:
    """Returns in the middle of a trial, after `num_ended` others."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if (home.studies / "cut" / "study.yaml").exists():
            trials = StudyRecord.open(home.studies / "cut").trials
            if sum(trial.has_ended for trial in trials) >= num_ended and any(
                trial.state == "running" and len(trial.values) > 2 for trial in trials
            ):
                return
        time.sleep(0.1)
    raise AssertionError("the study did not get that far")


def statuses(home: Home) -> dict[str, str]:
    """MLflow's status of each trial's run; a trial with two runs is an error."""
    client = connect(home.tracking_uri)
    result = StudyResult.read(home.studies / "cut")
    query = f"tags.`mlflow.parentRunId` = '{result.run_id}'"
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], query)
    found = {run.data.tags["study.trial"]: run.info.status for run in runs}
    assert len(found) == len(runs), "a trial has two runs"
    return found


def test_interrupted_killed_and_resumed(home_with_digits: Home, tmp_path: Path) -> None:
    home = home_with_digits
    file = tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump(SPEC))

    interrupted = start(home, "run", str(file))
    wait_until_running(home, interrupted, num_ended=1)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=PATIENCE_SECONDS)
    assert interrupted.returncode == 130
    assert "Go on with: study resume cut" in said
    assert "Traceback" not in said
    before = StudyResult.read(home.studies / "cut")
    assert before.final is None
    assert "RUNNING" not in statuses(home).values()

    killed = start(home, "resume", "cut")
    wait_until_running(home, killed, num_ended=2)
    killed.kill()
    killed.communicate(timeout=PATIENCE_SECONDS)

    resumed = start(home, "resume", "cut")
    shown, said = resumed.communicate(timeout=PATIENCE_SECONDS)
    assert resumed.returncode == 0, said
    assert "registered model     digits version 1" in shown

    after = StudyResult.read(home.studies / "cut")
    assert [(trial.state, len(trial.values)) for trial in after.trials] == [("complete", 25)] * 5
    assert statuses(home) == {str(number): "FINISHED" for number in range(5)}
    for trial in before.trials:
        assert after.trials[trial.number].point == trial.point
        assert dict(trial.values).items() <= dict(after.trials[trial.number].values).items(), "a measured epoch changed"
    uninterrupted = StudyRecord.create(tmp_path, "whole", maximise=True)
    assert [trial.point for trial in after.trials] == [uninterrupted.ask(find_space("digits"), seed=3)[1] for _ in range(5)]

    again = start(home, "resume", "cut")
    assert "digits version 1" in again.communicate(timeout=PATIENCE_SECONDS)[0], "a finished study is shown, not run again"
