"""The best configurations are trained again, killed in between and resumed; one is chosen, measured once and
registered twice.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from study_process import PATIENCE_SECONDS, start

from search_spaces.named import find_space
from study.connections.mlflow_client import addressed_to, connect
from study.driver.running import resume_study
from study.evaluation.final_result import RESULT_FILE, FinalResult
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.results.study_result import StudyResult
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport, Trial
from study.study_file.edits import Edit, append_edit
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import openings

SPEC = {
    "study": "confirmed",
    "dataset": "digits",
    "search_space": "digits",
    "start_from": [{"learning_rate": rate} for rate in (3e-3, 2e-3, 3e-4)],
    "budget": {"trials": 3, "epochs": 12},
    "early_stopping": "none",
    "confirm": {"top": 2, "seeds": 2},
    "ensemble": "seeds",
    "resources": {"max_concurrent": 1},  # a second process would start for nothing that is tested
}


@pytest.fixture
def killed(home_with_digits: Home, tmp_path: Path) -> Home:
    """A home with the study, whose driver was killed in the middle of a training that confirms, after
    another.
    """
    file = tmp_path / "confirmed.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    process = start(home_with_digits, "run", str(file))
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not is_halfway(home_with_digits):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the study did not get that far"
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
    return home_with_digits


def is_halfway(home: Home) -> bool:
    if not (folder(home) / "confirmation").exists():
        return False
    trainings = StudyResult.read(folder(home)).confirmation.values()
    return any(one.has_ended for one in trainings) and any(
        one.state == "running" and len(one.values) > 1 for one in trainings
    )


def folder(home: Home) -> Path:
    return home.studies / "confirmed"


@pytest.mark.slow
def test_confirmed_killed_resumed_and_extended(killed: Home, local_ray: None) -> None:
    before = StudyResult.read(folder(killed))
    assert before.final is None
    assert openings(killed.datasets / "digits") == ()
    result = resume_study("confirmed", home=killed)
    check_trainings(killed, before, result)
    check_result(killed, result)
    check_models(killed, result)
    check_that_nothing_is_measured_or_registered_twice(killed, result)
    check_that_more_trials_can_follow(killed, result)


def check_trainings(home: Home, before: StudyResult, result: StudyResult) -> None:
    """Those of before the kill stay, no epoch is measured twice, and the search knows of none."""
    best, second = result.leaderboard[:2]
    wanted = [f"trial-{trial.number:04d}-seed-{seed}" for trial in (best, second) for seed in (1, 2)]
    assert list(result.confirmation) == wanted
    assert [(one.state, len(one.values)) for one in result.confirmation.values()] == [("complete", 12)] * 4
    for name, training in before.confirmation.items():
        assert dict(training.values).items() <= dict(result.confirmation[name].values).items(), (
            "a measured epoch changed"
        )
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert [trial.number for trial in result.leaderboard] == [trial.number for trial in before.leaderboard]
    assert list(result.to_frame()["trial"]) == [trial.number for trial in result.leaderboard]
    runs = training_runs(home, result)
    assert sorted(runs) == sorted(wanted)
    seeds = {run.data.params["seed"] for run in runs.values()}
    assert len(seeds) == 4, "each has a seed of its own"
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name, run in runs.items():
        history = connect(home.tracking_uri).get_metric_history(run.info.run_id, "validation/macro_f1")
        assert {point.step: point.value for point in history} == pytest.approx(
            dict(result.confirmation[name].values)
        )
        assert len(history) == 12


def training_runs(home: Home, result: StudyResult) -> Mapping[str, Any]:
    client = connect(home.tracking_uri)
    query = f"tags.`mlflow.parentRunId` = '{result.run_id}' and tags.`study.confirms` != ''"
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], query)
    found = {run.info.run_name: run for run in runs}
    assert len(found) == len(runs), "a training has two runs"
    return found


def check_result(home: Home, result: StudyResult) -> None:
    final = result.final
    assert final is not None
    means = [row.mean for row in final.confirmed]
    assert means == sorted(means, key=lambda mean: -(mean or 0))
    for row in final.confirmed:
        values = [result.confirmation[f"trial-{row.trial:04d}-seed-{seed}"].value for seed in (1, 2)]
        assert list(row.values) == values
        assert row.mean == pytest.approx(np.mean([value for value in values if value is not None]))
        assert row.search_value == result.trials[row.trial].value
    (chosen,) = [row for row in final.confirmed if row.is_chosen]
    single, ensemble = final.candidates
    assert (single.kind, single.trial, ensemble.kind, ensemble.trial) == (
        "single",
        chosen.trial,
        "ensemble",
        chosen.trial,
    )
    assert ensemble.seeds == (1, 2)
    assert chosen.values[single.seeds[0] - 1] == max(value for value in chosen.values if value is not None)
    for candidate in final.candidates:
        test = candidate.test
        assert test.metrics["accuracy"].value > 0.9
        assert all(interval.low <= interval.value <= interval.high for interval in test.metrics.values())
        assert sum(row.num_images for row in test.classes) == test.num_images
        assert test.calibration is not None
        assert test.calibration.after.log_loss < test.calibration.before.log_loss
    check_one_version_is_named(home, result)
    (opening,) = openings(home.datasets / "digits")
    assert opening.opened_by == "study confirmed"
    assert FinalResult.read(result.folder) == final
    client = connect(home.tracking_uri)
    parent = client.get_run(result.run_id)
    assert parent.data.metrics["test/macro_f1_low"] == pytest.approx(final.test.metrics["macro_f1"].low)
    assert parent.data.metrics["ensemble/accuracy"] == pytest.approx(ensemble.test.metrics["accuracy"].value)
    check_table(home, result)


def check_one_version_is_named(home: Home, result: StudyResult) -> None:
    """By `study list` and `show`, by the run's tag, and by `study promote` without a number."""
    final = result.final
    assert final is not None
    assert final.verdict is not None
    assert "so the single network is the candidate" in final.verdict, "so few errors tell them not apart"
    client = connect(home.tracking_uri)
    assert client.get_run(result.run_id).data.tags["model"] == f"digits version {final.version}"
    candidate = client.get_model_version_by_alias("digits", "candidate")
    assert int(candidate.version) == final.version == final.result.version
    assert candidate.tags["study.compared"] == final.verdict


def check_table(home: Home, result: StudyResult) -> None:
    assert result.final is not None
    client = connect(home.tracking_uri)
    with addressed_to(home.tracking_uri):
        experiment = client.get_run(result.run_id).info.experiment_id
        table = client.load_table(experiment, "confirmed.json", run_ids=[result.run_id])
    assert list(table["verdict"]) == [row.verdict for row in result.final.confirmed]


def check_models(home: Home, result: StudyResult) -> None:
    """Each version gives the probabilities that were measured, and says what it is."""
    assert result.final is not None
    client = connect(home.tracking_uri)
    images = Dataset.open(home.datasets / "digits").validation.images[:8]
    predicted = {}
    for candidate in result.final.candidates:
        version = client.get_model_version("digits", str(candidate.version))
        assert version.tags["study.kind"] == candidate.kind
        with addressed_to(home.tracking_uri):
            model = mlflow.pyfunc.load_model(f"models:/digits/{candidate.version}")
        predicted[candidate.kind] = (
            model.predict(pd.DataFrame({"image": list(images)})).drop(columns="label").to_numpy()
        )
        evidence = TestEvidence.read(next((result.folder / "measured").glob(f"*/{candidate.kind}")))
        accuracy = (evidence.probabilities_NK.argmax(1) == evidence.labels_N).mean()
        assert accuracy == pytest.approx(candidate.test.metrics["accuracy"].value)
    assert not np.allclose(predicted["single"], predicted["ensemble"])
    np.testing.assert_allclose(predicted["ensemble"].sum(1), 1, atol=1e-5)


def check_that_nothing_is_measured_or_registered_twice(home: Home, result: StudyResult) -> None:
    """As if the driver had died after the first of two versions was registered."""
    assert result.final is not None
    (result.folder / RESULT_FILE).unlink()
    assert [candidate.version for candidate in result.final.candidates] == [2, 1], "the result comes last"
    connect(home.tracking_uri).delete_model_version("digits", "2")
    again = resume_study("confirmed", home=home).final
    assert again is not None
    assert [candidate.version for candidate in again.candidates] == [3, 1]
    assert [candidate.test for candidate in again.candidates] == [
        candidate.test for candidate in result.final.candidates
    ]
    assert len(openings(home.datasets / "digits")) == 1


def check_that_more_trials_can_follow(home: Home, result: StudyResult) -> None:
    append_edit(result.folder, Edit(kind="extend", trials=1))
    extended = resume_study("confirmed", home=home)
    added = extended.trials[3]
    assert added.has_ended
    assert added.point == drawn_without_confirmation(result, extended.folder.parent / "other")
    assert dict(result.confirmation).items() <= dict(extended.confirmation).items(), (
        "what was confirmed is not trained again"
    )
    assert extended.final is not None
    check_table(home, extended)
    assert {row.trial for row in extended.final.confirmed} == {
        trial.number for trial in extended.leaderboard[:2]
    }
    num_new = 0 if added.number not in {trial.number for trial in extended.leaderboard[:2]} else 2
    assert len(extended.confirmation) == 4 + num_new


def drawn_without_confirmation(result: StudyResult, elsewhere: Path) -> Mapping[str, Any]:
    """The fourth trial's configuration in a study of the same search that confirmed nothing."""
    elsewhere.mkdir()
    record = StudyRecord.create(elsewhere, "other", objectives=result.spec.objectives)
    for trial in result.trials:
        record.enqueue(find_space("digits"), trial.point, "again")
        end(record, trial)
    asked = record.ask(find_space("digits"), result.spec.seed)
    assert asked is not None
    return asked[1]


def end(record: StudyRecord, trial: Trial) -> None:
    record.ask(find_space("digits"), 0)
    for epoch, value in trial.values.items():
        record.report(
            trial.number, EpochReport(epoch=epoch, value=value, metrics={}, seconds=1.0, run_id=None)
        )
    record.finish(trial.number, "complete")
