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
from contextlib import contextmanager, suppress

from ports import free_port

NUM_TRIES = 3
SECONDS_TO_END = 20
PATIENCE_SECONDS = 300
"""Long, as both cores may be busy with other tests."""


@contextmanager
def running_mlflow(
    database: str,
    artifacts: str,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    *,
    workers: int = 1,
) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that hands artifacts on to `artifacts`; `environment` is added to
    this process's. Without `port` it is any that is free. `workers` are its processes that answer.
    """
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--artifacts-destination",
        artifacts,
        "--workers",
        str(workers),
    ]
    settings = {"MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running_server(command, {**os.environ, **(environment or {}), **settings}, port) as found:
        yield found


@contextmanager
def running_server(
    command: list[str], environment: Mapping[str, str], port: int | None = None
) -> Iterator[int]:
    """The port that the command was told by `--port`, once MLflow answers there."""
    process, found = _start(command, environment, port)
    try:
        yield found
    finally:
        end_server(process)


def _start(
    command: list[str], environment: Mapping[str, str], wanted: int | None
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(NUM_TRIES):
        port = wanted or free_port()
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if _is_healthy(process, port):
            return process, port
        end_server(process)
    raise AssertionError("MLflow's server does not start")


def end_server(process: subprocess.Popen[bytes]) -> None:
    """Ends it in order first: `study ui` has a server in a group of its own, which it alone ends."""
    for order, seconds in ((signal.SIGTERM, SECONDS_TO_END), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, order)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


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
