"""A study that is interrupted, then killed, then resumed: nothing measured is lost, nothing is done twice."""

import signal
import time
from pathlib import Path

import yaml
from study_process import PATIENCE_SECONDS, start, wait_until_running

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


def test_two_interruptions_leave_at_once_and_lose_nothing(home_with_digits: Home, tmp_path: Path) -> None:
    home = home_with_digits
    file = tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump({**SPEC, "budget": {"trials": 2, "epochs": 80}}))
    process = start(home, "run", str(file))
    wait_until_running(home, "cut", process, num_ended=0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert time.monotonic() - begun < 60
    assert process.returncode == 130
    assert "Traceback" not in said
    before = StudyResult.read(home.studies / "cut")

    resumed = start(home, "resume", "cut")
    wait_until_running(home, "cut", resumed, num_ended=1)
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=PATIENCE_SECONDS)
    after = StudyResult.read(home.studies / "cut")
    assert dict(before.trials[0].values).items() <= dict(after.trials[0].values).items()
    assert "RUNNING" not in statuses(home).values()


def test_interrupted_killed_and_resumed(home_with_digits: Home, tmp_path: Path) -> None:
    home = home_with_digits
    file = tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump(SPEC))

    interrupted = start(home, "run", str(file))
    wait_until_running(home, "cut", interrupted, num_ended=1)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=PATIENCE_SECONDS)
    assert interrupted.returncode == 130
    assert "Go on with: study resume cut" in said
    assert "Traceback" not in said
    before = StudyResult.read(home.studies / "cut")
    assert before.final is None
    assert "RUNNING" not in statuses(home).values()

    add_dataset(home.datasets, "digits", None, AddOptions(split_seed=1, replace=True))
    refused = start(home, "resume", "cut")
    assert (
        "dataset 'digits' was replaced since the study began"
        in refused.communicate(timeout=PATIENCE_SECONDS)[1]
    )
    assert refused.returncode == 2
    add_dataset(home.datasets, "digits", None, AddOptions(replace=True))

    killed = start(home, "resume", "cut")
    wait_until_running(home, "cut", killed, num_ended=2)
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
        assert dict(trial.values).items() <= dict(after.trials[trial.number].values).items(), (
            "a measured epoch changed"
        )
    uninterrupted = StudyRecord.create(tmp_path, "whole", objectives=after.spec.objectives)
    drawn = [uninterrupted.ask(find_space("digits"), seed=3) for _ in range(5)]
    assert [trial.point for trial in after.trials] == [point for _, point in filter(None, drawn)]

    again = start(home, "resume", "cut")
    assert "digits version 1" in again.communicate(timeout=PATIENCE_SECONDS)[0], (
        "a finished study is shown, not run again"
    )
