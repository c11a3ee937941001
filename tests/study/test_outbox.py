"""The outbox keeps order, survives a server that is away, and never blocks a trial."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException, RestException

from study.tracking import outbox as outbox_module
from study.tracking.client import connect
from study.tracking.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_SECONDS", 0.01)
    return Outbox(f"sqlite:///{tmp_path}/mlflow.db")


def test_jobs_run_in_the_order_they_came_against_a_real_database(outbox: Outbox, tmp_path: Path) -> None:
    run_ids: list[str] = []
    outbox.put(lambda client: run_ids.append(client.create_run("0").info.run_id))
    for step in range(20):
        outbox.put(lambda client, step=step: client.log_batch(run_ids[0], metrics=[Metric("m", step, 0, step)]))  # type: ignore[misc]
    assert outbox.drain(60)
    history = connect(f"sqlite:///{tmp_path}/mlflow.db").get_metric_history(run_ids[0], "m")
    assert [(point.step, point.value) for point in history] == [(step, float(step)) for step in range(20)]


def test_putting_never_waits(outbox: Outbox) -> None:
    start = time.monotonic()
    outbox.put(lambda client: time.sleep(1))
    assert time.monotonic() - start < 0.1
    assert not outbox.drain(0.05), "the job is still under way"
    assert outbox.drain(60)


def failing(times: int, error: Exception, done: list[str]) -> Any:
    left = [times]

    def job(client: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise error
        done.append("passed")

    return job


@pytest.mark.parametrize("error", [ConnectionError("refused"), MlflowException("database is locked"), TimeoutError("slow")])
def test_a_server_that_is_away_is_tried_again_and_those_behind_wait(outbox: Outbox, error: Exception) -> None:
    done: list[str] = []
    outbox.put(failing(3, error, done))
    outbox.put(lambda client: done.append("behind"))
    assert outbox.drain(60)
    assert done == ["passed", "behind"]


def test_what_the_server_rejects_is_reported_and_dropped(outbox: Outbox, capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    outbox.put(failing(1, RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "param too long"}), done))
    outbox.put(lambda client: done.append("behind"))
    assert outbox.drain(60)
    assert done == ["behind"]
    assert "MLflow rejected what a trial logged" in capsys.readouterr().err


def _listening(handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
    """A server on a port that answers; on a machine busy with other clusters a free port may turn out not to be."""
    for _ in range(20):
        server = HTTPServer(("127.0.0.1", 0), handler)
        try:
            socket.create_connection(("127.0.0.1", server.server_port), timeout=1).close()
        except OSError:
            server.server_close()
        else:
            return server
    raise AssertionError("no port answers")


@pytest.fixture
def health_server() -> Iterator[str]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = _listening(Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_server_that_answers_is_reachable(health_server: str) -> None:
    from study.errors import TrackingError
    from study.tracking.client import check_reachable

    check_reachable(health_server + "/")
    with pytest.raises(TrackingError, match="answers 404"):
        check_reachable(health_server + "/not-mlflow")
