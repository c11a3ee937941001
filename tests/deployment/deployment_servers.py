"""Servers that tests start as the deployment files do: waiting for them, and ending them."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from ports import free_port

PATIENCE_SECONDS = 300  # on two cores that others use, too
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class MlflowServer:
    """A server that runs as in compose.yaml, and what its clients need."""

    address: str
    settings: dict[str, str]
    """What the node that prepares it has in its environment."""
    database: dict[str, str]
    """What psycopg reads to reach its PostgreSQL."""
    command: tuple[str, ...]
    environment: dict[str, str]
    """By which the server was started."""

    @property
    def admin_password(self) -> str:
        """Of the account `admin`."""
        return self.settings["MLFLOW_AUTH_ADMIN_PASSWORD"]


@contextmanager
def replica(
    server: MlflowServer, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of another server, started as the first one; `environment` replaces some of its variables.

    It has a folder for temporary files of its own, as another machine has.
    """
    port = str(free_port())
    first = server.address.rpartition(":")[2]
    (folder / "tmp").mkdir(parents=True)
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [word.replace(first, port) for word in server.command],
            env={**server.environment, "TMPDIR": str(folder / "tmp"), **(environment or {})},
            cwd=folder,
            stdout=file,
            stderr=file,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until something answers there. Fails with what it logged if it ends before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended: {log.read_text()[-3000:]}"
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"nothing answers at {address}: {log.read_text()[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and those that it started, and no other."""
    if process.poll() is None:
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in started:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
    process.wait()
