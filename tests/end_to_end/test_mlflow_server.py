"""A study that logs to an MLflow server over HTTP, which `study ui` runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.home import Home
from study.running import run_study
from study.tracking.client import connect

SPEC = {
    "study": "over-http",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 2, "epochs": 2},
    "early_stopping": "none",
}
PATIENCE_SECONDS = 90


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of pages that `study ui` serves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "STUDY_HOME": str(tmp_path / "server"), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/server.db"}
    command = [sys.executable, "-c", "from study.cli import main; main()", "ui", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server does not answer")


def test_runs_pictures_and_models_reach_the_server(server: str, home_with_digits: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    result = run_study(SPEC, home=home_with_digits)
    assert result.final is not None
    client = connect(server)
    assert client.get_run(result.run_id).info.status == "FINISHED"
    for trial in result.trials:
        run = client.get_run(trial.run_id)
        assert run.info.status == "FINISHED"
        assert [point.step for point in client.get_metric_history(trial.run_id, "validation/macro_f1")] == [1, 2]
        assert {"confusion_matrix.png", "learning_curves.png", "recipe.yaml"} <= {file.path for file in client.list_artifacts(trial.run_id)}
    assert client.get_model_version("digits", "1").tags["study.name"] == "over-http"
    assert not (home_with_digits.folder / "mlflow.db").exists()
