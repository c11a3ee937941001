"""Studies that log to a real MLflow on real PostgreSQL with artifacts on a real S3 endpoint, also while it is
away, slow or broken.

A minute of every trouble instead of two seconds: `STUDY_OUTAGE_SECONDS=60 pytest
tests/end_to_end/test_mlflow_server.py`.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from failing_proxy import FailingProxy
from fresh_homes import FreshHomes
from mlflow_server import running_mlflow, running_server
from PIL import Image
from postgres_server import PostgresServer
from s3_server import S3

from study.connections.mlflow_client import connect
from study.driver.running import resume_study, run_study
from study.errors import TrackingError
from study.home import Home
from study.results.study_result import StudyResult
from study.tracking import study_run

OUTAGE_SECONDS = float(os.environ.get("STUDY_OUTAGE_SECONDS", "2"))
SPEC: dict[str, Any] = {
    "study": "over-http",
    "dataset": "digits",
    "search_space": "digits",
    "extend": {"learning_rate": {"float": [3e-4, 1e30], "log": True}},
    # The one in the middle diverges at once: what a failed trial says must not be lost either.
    "start_from": [{"learning_rate": rate} for rate in (3e-3, 1e30, 1e-3, 4e-4)],
    "budget": {"trials": 4, "epochs": round(20 * OUTAGE_SECONDS)},
    "early_stopping": {"rule": "asha", "first_rung": 0.5},
    "resources": {"max_concurrent": 1},
}
PICTURES = {"learning_curves.png", "confusion_matrix.png", "reliability.png", "most_confidently_wrong.png"}


@pytest.fixture(scope="module")
def home(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return fresh_homes.make(tmp_path_factory.mktemp("home"), with_digits=True)


@pytest.fixture(scope="module")
def database(postgres: PostgresServer, postgres_tables: str) -> str:
    return postgres.new_database(copy_of=postgres_tables)


@pytest.fixture(scope="module")
def proxy(database: str, s3_endpoint: S3) -> Iterator[FailingProxy]:
    """Stands before an MLflow server that keeps runs in PostgreSQL and artifacts on S3."""
    with running_mlflow(database, s3_endpoint.address, s3_endpoint.environment) as port:
        proxy = FailingProxy("127.0.0.1", port)
        yield proxy
        proxy.close()


def trouble(home: Home, proxy: FailingProxy) -> None:
    """Everything that may happen to a server, one after the other, from the first epochs on; when all trials
    have ended it is away.
    """
    while not _trials(home):
        time.sleep(0.1)
    for mode in ("errors", "slow", "deaf", "down"):
        proxy.switch(mode)
        time.sleep(OUTAGE_SECONDS)
    proxy.switch("up")
    while sum(trial.has_ended for trial in _trials(home)) < 3:
        time.sleep(0.1)
    proxy.switch("down")


def _trials(home: Home) -> list[Any]:
    try:
        return [trial for trial in StudyResult.read(home.studies / "over-http").trials if trial.values]
    except (FileNotFoundError, KeyError, ValueError):
        return []  # not there yet


@pytest.mark.slow
def test_no_trouble_of_the_server_fails_a_trial_or_loses_a_word(
    local_ray: None,
    home: Home,
    proxy: FailingProxy,
    database: str,
    s3_endpoint: S3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    monkeypatch.setattr(study_run, "PATIENCE_SECONDS", 4.0)
    troublemaker = threading.Thread(target=trouble, args=(home, proxy), daemon=True)
    troublemaker.start()
    with pytest.raises(
        TrackingError,
        match=r"does not have \d+ records of study 'over-http' .*study resume over-http sends them",
    ):
        run_study(SPEC, home=home)
    troublemaker.join(60)
    before = StudyResult.read(home.studies / "over-http")
    assert [trial.state for trial in before.trials].count("failed") == 1
    assert all(trial.has_ended for trial in before.trials), "MLflow was away, and no trial minded"

    proxy.switch("up")
    monkeypatch.setattr(study_run, "PATIENCE_SECONDS", 300.0)  # a busy machine takes its time
    result = resume_study("over-http", home=home)
    assert [dict(trial.values) for trial in result.trials] == [
        dict(trial.values) for trial in before.trials
    ], "nothing was trained again"
    assert result.final is not None
    assert not list(home.studies.glob("over-http/outbox*")), "what was sent is deleted"
    check_runs(result, connect(proxy.address), database)
    assert any(key.endswith("most_confidently_wrong.png") for key in s3_endpoint.object_names())


def check_runs(result: StudyResult, client: Any, database: str) -> None:
    """Every metric of every epoch once, true statuses, and all that a run carries."""
    statuses = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    parent = client.get_run(result.run_id)
    query = f"tags.`mlflow.parentRunId` = '{result.run_id}'"
    children = client.search_runs([parent.info.experiment_id], query)
    runs = {int(run.data.tags["study.trial"]): run for run in children}
    assert sorted(runs) == [trial.number for trial in result.trials]
    assert len(children) == len(runs), "a trial has two runs"
    counted = metrics_of_runs(database)
    for trial in result.trials:
        run = runs[trial.number]
        assert trial.run_id == run.info.run_id
        assert (run.info.status, run.data.tags["study.state"]) == (statuses[trial.state], trial.state)
        assert run.data.params["learning_rate"] == str(trial.point["learning_rate"])
        assert run.inputs.dataset_inputs
        found = {key: steps for (run_id, key), steps in counted.items() if run_id == trial.run_id}
        for key, steps in found.items():
            assert set(steps.values()) == {1}, f"{key} of trial {trial.number}: {steps}"
            if key.startswith(("train/", "validation/", "best/")):
                assert set(steps) == set(trial.values), f"{key} of trial {trial.number}: {steps}"
        if trial.values:
            assert {
                "train/loss",
                "validation/macro_f1",
                "within_class/recall/7",
                "best/macro_f1",
                "system/cpu_utilization_percentage",
            } <= set(found)
            artifacts = {file.path for file in client.list_artifacts(trial.run_id)}
            assert {*PICTURES, "recipe.yaml"} <= artifacts, f"trial {trial.number} has {artifacts}"
    assert parent.info.status == "FINISHED"
    assert {"study.yaml", "leaderboard.json", "environment.json", "cost.json"} <= {
        file.path for file in client.list_artifacts(result.run_id)
    }


def metrics_of_runs(database: str) -> dict[tuple[str, str], Counter[int]]:
    """How often each step of each metric of each run is in the database."""
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT run_uuid, key, step FROM metrics")).all()
    engine.dispose()
    counted: dict[tuple[str, str], Counter[int]] = {}
    for run_id, key, step in rows:
        counted.setdefault((run_id, key), Counter())[step] += 1
    return counted


@pytest.mark.slow
def test_a_study_logs_straight_to_postgresql_and_s3(
    local_ray: None, home: Home, postgres_url: str, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_url)
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", f"{s3.address}/straight")
    spec = {**SPEC, "study": "straight", "start_from": [], "extend": {}, "budget": {"trials": 1, "epochs": 2}}
    result = run_study(spec, home=home)
    assert result.final is not None
    client = connect(postgres_url)
    (trial,) = result.trials
    assert [point.step for point in client.get_metric_history(trial.run_id, "validation/macro_f1")] == [1, 2]
    picture = Image.open(client.download_artifacts(trial.run_id, "reliability.png", str(tmp_path)))
    assert np.asarray(picture.convert("L")).std() > 10
    cost = json.loads(Path(client.download_artifacts(result.run_id, "cost.json", str(tmp_path))).read_text())
    assert cost["seconds"] == pytest.approx(trial.seconds, abs=0.01)
    assert any(key.startswith("artifacts/straight/digits/") for key in s3.object_names())
    everything = "".join(
        file.read_text(errors="ignore") for file in (home.studies / "straight").rglob("*") if file.is_file()
    )
    assert "not-to-be-printed" not in everything, "no file of a study holds the password"


@pytest.mark.slow
def test_the_pages_show_what_a_postgresql_database_holds(mlflow_postgres_url: str, tmp_path: Path) -> None:
    connect(mlflow_postgres_url).create_experiment("digits")
    command = [sys.executable, "-c", "from study.cli.main import main; main()", "ui"]
    with running_server(
        command, {**os.environ, "STUDY_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": mlflow_postgres_url}
    ) as port:
        assert connect(f"http://127.0.0.1:{port}").get_experiment_by_name("digits") is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert b"MLflow" in page.read()
