"""Many trials that call the MLflow server of the deployment files at the same moment."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from deployment_files import FOLDER, compose, manifest
from deployment_servers import MlflowServer

from study.connections.mlflow_client import connect

THREADS = 40
"""That a worker process of MLflow answers calls with: the limit of AnyIO."""
WORKERS = 4
"""Processes of a server, where nobody says otherwise."""
POOL_TIMEOUT_SECONDS = 30
"""After which SQLAlchemy gives up to wait for a connection."""


@pytest.mark.slow
def test_trials_that_log_at_once_do_not_wait_for_each_others_connections(
    mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that logs metrics holds two connections at once: where a worker has fewer than threads, all of
    them hold one and wait for another.
    """
    from mlflow.entities import Metric

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, mlflow_server.settings[name])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = connect(mlflow_server.address)
    experiment = client.create_experiment("at-once")
    runs = [client.create_run(experiment).info.run_id for _ in range(THREADS)]
    together = Barrier(THREADS)

    def log(run_id: str) -> float:
        together.wait()
        began = time.monotonic()
        for step in (1, 2, 3):
            client.log_batch(run_id, metrics=[Metric(f"m{key}", 0.5, step, step) for key in range(10)])
        return time.monotonic() - began

    with ThreadPoolExecutor(THREADS) as trials:
        seconds = list(trials.map(log, runs))
    assert max(seconds) < POOL_TIMEOUT_SECONDS, "a connection was waited for until the time was over"


def test_workers_have_the_connections_and_the_database_takes_them() -> None:
    in_compose = compose()["services"]
    pod = manifest("StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"][0]
    of_database = manifest("StatefulSet", "postgres")["spec"]["template"]["spec"]["containers"][0]
    for environment, words in (
        (in_compose["mlflow"]["environment"], in_compose["postgres"]["command"]),
        ({one["name"]: one.get("value") for one in pod["env"]}, of_database["args"]),
    ):
        pool = sum(
            int(environment[f"MLFLOW_SQLALCHEMYSTORE_{part}"]) for part in ("POOL_SIZE", "MAX_OVERFLOW")
        )
        assert pool >= 2 * THREADS
        (most,) = [int(word.split("=")[1]) for word in words if word.startswith("max_connections=")]
        assert most >= WORKERS * pool + 20
        of_aws = (FOLDER / "aws.env").read_text()
        for name in ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"):
            assert f"\n{name}={environment[name]}\n" in of_aws
