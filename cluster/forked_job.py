"""The process of a job that a fork server runs: it hands on signals, and ends as the job ends.

    python -m cluster.forked_job --import optuna,ray.tune package.module WORD...

It takes 10 MB, so that a head holds many jobs. It imports nothing but the standard library.
"""

import fcntl
import hashlib
import os
import runpy
import socket
import sys
import tempfile
import time
from pathlib import Path

from cluster.fork_client import SERVER_FILE, connect, run_forked, start_server
from cluster.ray_settings import set_ray_environment

START_SECONDS = 120.0
"""For the server's imports, on a busy machine."""
POLL_SECONDS = 0.05


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
    code = run_forked(connection, module, arguments, sys.path)
    if code is None:
        print("the process that this job was to be forked from died")
    sys.exit(1 if code is None else code)


def _connected(modules: list[str]) -> socket.socket | None:
    """A connection to the server, which the first job of a machine starts; None where none starts."""
    place = _folder() / _name(modules)
    with place.with_suffix(".lock").open("w") as lock:
        connection = connect(place)
        if connection is not None:
            return connection
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = connect(place)
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
    """Servers differ by the Python, by their own code, and by what Ray reads when it is imported."""
    of_ray = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("RAY_", "TUNE_", "PYTHON")) and not name.startswith("RAY_JOB_")
    }
    protocol = hashlib.sha256(SERVER_FILE.read_bytes()).hexdigest()
    told = repr((sys.executable, sys.version, protocol, modules, sorted(of_ray.items())))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _start(place: Path, modules: list[str]) -> socket.socket | None:
    place.unlink(missing_ok=True)
    with place.with_suffix(".log").open("wb") as log:
        server = start_server(place, modules, log)
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        connection = connect(place)
        if connection is not None:
            return connection
        time.sleep(POLL_SECONDS)
    server.kill()
    server.wait()
    return None


if __name__ == "__main__":
    main()
