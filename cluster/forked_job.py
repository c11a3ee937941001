"""The process of a job that a fork server runs: it hands on signals, and ends as the job ends.

    python -m cluster.forked_job --import optuna,ray.tune package.module WORD...

It takes 10 MB, so that a head holds many jobs. It imports nothing but the standard library.
"""

import fcntl
import hashlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cluster.fork_server import receive, send
from cluster.ray_settings import set_ray_environment

START_SECONDS = 120.0
"""For the server's imports, on a busy machine."""
POLL_SECONDS = 0.05
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
SERVER_FILE = Path(__file__).with_name("fork_server.py")
SETTINGS = {"MALLOC_ARENA_MAX": "2"}
"""Of the server: glibc otherwise gives each thread memory of its own."""


def main() -> None:
    """Runs the module by the server that has its imports, or in this process where no server starts."""
    option, imported, module, *arguments = sys.argv[1:]
    assert option == "--import", option
    set_ray_environment(os.environ.get("RAY_ADDRESS"))
    connection = _connected(imported.split(","))
    if connection is None:
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    job = {
        "module": module,
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": sys.path,
    }
    send(connection, job, (0, 1, 2))
    sys.exit(_exit_code(connection))


def _exit_code(connection: socket.socket) -> int:
    """Of the job's process, once it has ended: 128 and a signal's number where that ended it."""
    try:
        process = receive(connection)[0]["process"]
        for number in HANDED_ON:
            signal.signal(number, lambda number, _: _signal(process, number))
        code = int(receive(connection)[0]["code"])
    except (EOFError, OSError):
        print("the process that this job was forked from died: how the job ended is not known")
        return 1
    return code if code >= 0 else 128 - code


def _signal(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _connected(modules: list[str]) -> socket.socket | None:
    """A connection to the server, which the first job of a machine starts; None where none starts."""
    place = _folder() / _name(modules)
    with place.with_suffix(".lock").open("w") as lock:
        connection = _connect(place)
        if connection is not None:
            return connection
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = _connect(place)
        return connection if connection is not None else _start(place, modules)


def _folder() -> Path:
    """Which nobody else can write to."""
    folder = Path(tempfile.gettempdir(), f"study-forks-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        folder = Path(tempfile.mkdtemp(prefix="study-forks-"))
    return folder


def _name(modules: list[str]) -> str:
    """Servers differ by the Python, and by what Ray reads when it is imported."""
    of_ray = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("RAY_", "TUNE_", "PYTHON")) and not name.startswith("RAY_JOB_")
    }
    told = repr((sys.executable, sys.version, modules, sorted(of_ray.items())))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _connect(place: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place))
    except OSError:
        connection.close()
        return None
    return connection


def _start(place: Path, modules: list[str]) -> socket.socket | None:
    place.unlink(missing_ok=True)
    with place.with_suffix(".log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", str(SERVER_FILE), str(place), *modules],
            env={**os.environ, **SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        connection = _connect(place)
        if connection is not None:
            return connection
        time.sleep(POLL_SECONDS)
    server.kill()
    server.wait()
    return None


if __name__ == "__main__":
    main()
