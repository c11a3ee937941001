"""Addresses of MLflow: what is not there or cannot be used is told at once, and no message holds a
password.
"""

import base64
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from study.connections.mlflow_client import check_reachable, connect, right_needed
from study.errors import TrackingError


def _listening(handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
    """A server on a port that answers; on a machine busy with other clusters a free port may turn out not to
    be.
    """
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
    check_reachable(health_server + "/")
    with pytest.raises(TrackingError, match="answers 404"):
        check_reachable(health_server + "/not-mlflow")


def test_a_real_database_is_reachable(postgres_url: str) -> None:
    check_reachable(postgres_url)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/mlflow", "does not answer"),
        ("postgresql+nothere://me:secret@127.0.0.1:1/mlflow", "needs the Python package of 'nothere'"),
        ("http://me:secret@127.0.0.1:1", "does not answer"),
        ("ftp://me:secret@127.0.0.1/mlflow", "must start with http"),
    ],
)
def test_what_cannot_be_used_is_told_without_its_password(address: str, message: str) -> None:
    with pytest.raises(TrackingError, match=message) as refused:
        check_reachable(address)
    assert "secret" not in str(refused.value)


def test_a_driver_that_is_not_installed_is_named_with_its_package() -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from study.connections.mlflow_client import check_reachable
check_reachable("postgresql://me:secret@127.0.0.1:1/mlflow")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (
        "needs the Python package of 'psycopg', which is not here: uv pip install 'psycopg[binary]'"
        in done.stderr
    )


@pytest.fixture
def guarded_server() -> Iterator[str]:
    """A server of accounts: it refuses whoever is not ada with her password, and allows her nothing."""
    login = "Basic " + base64.b64encode(b"ada:her password").decode()

    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403 if self.headers["Authorization"] == login else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = _listening(Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ({}, "asks for an account: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ({"USERNAME": "ada", "PASSWORD": "mistyped"}, "knows no account 'ada' with this password; correct"),
        ({"USERNAME": "ada", "PASSWORD": "her password"}, "refuses 'ada': this needs EDIT on it. Ask"),
    ],
)
def test_a_refusal_says_whether_the_login_or_the_right_lacks(
    guarded_server: str, account: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in account.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with (
        pytest.raises(TrackingError, match=message) as refused,
        right_needed(guarded_server, "EDIT on it"),
    ):
        connect(guarded_server).search_registered_models()
    assert account.get("PASSWORD", "her password") not in str(refused.value)


def test_downloads_draw_no_bar_into_what_a_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", raising=False)
    connect(f"sqlite:///{tmp_path}/mlflow.db")
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

    assert not MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.get()
