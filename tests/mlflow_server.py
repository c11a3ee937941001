"""A real MLflow server that a test starts and stops, in processes of its own, on any database and any place
for artifacts.

It takes 5 to 20 seconds to start, so tests share one where they can.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ports import free_port

NUM_TRIES = 3
PATIENCE_SECONDS = 300
"""Long, as both cores may be busy with other tests."""


@contextmanager
def running_mlflow(
    database: str, artifacts: str, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that hands artifacts on to `artifacts`; `environment` is added to
    this process's.
    """
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--artifacts-destination",
        artifacts,
        "--workers",
        "1",
    ]
    settings = {"MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running_server(command, {**os.environ, **(environment or {}), **settings}) as port:
        yield port


@contextmanager
def running_server(command: list[str], environment: Mapping[str, str]) -> Iterator[int]:
    """The port that the command was told by `--port`, once MLflow answers there."""
    process, port = _start(command, environment)
    try:
        yield port
    finally:
        _kill(process)


def _start(command: list[str], environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(NUM_TRIES):
        port = free_port()
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if _is_healthy(process, port):
            return process, port
        _kill(process)
    raise AssertionError("MLflow's server does not start")


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_healthy(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False
