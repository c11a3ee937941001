"""A fork server for the workers of a local Ray: their libraries are imported once, while Ray starts."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.fork_client import SERVER_VARIABLE, start_server
from cluster.ray_settings import set_ray_environment
from cluster.scoped_environment import scoped_environment

SETTINGS = {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"}
"""Of Ray: a worker that it starts before anybody wants one belongs to no driver, and others could not be
forked from what was imported for it.
"""
TIMEOUT, START_SECONDS = "RAY_worker_register_timeout_seconds", "120"
"""Ray's limit for a worker's start, and what it is where nobody set it: on a busy machine the first one waits
for its imports.
"""
LONGEST_FOLDER = 60
END_SECONDS = 5.0


@contextmanager
def worker_forks(modules: Sequence[str], *, with_ray: Sequence[str]) -> Iterator[None]:
    """Inside, a local Ray that starts forks its workers from a process that imports `modules` meanwhile, none
    of which may import Ray, and `with_ray` once the first worker is wanted: Ray's core reads at its import
    what it is a worker of.

    Linux only; elsewhere nothing is done. The process ends with this one at the latest.
    """
    if sys.platform != "linux":
        yield
        return
    set_ray_environment(None)
    folder = Path(tempfile.mkdtemp(prefix="study-workers-", dir=_short_folder()))
    try:
        server = _started(folder, modules)
        told = f"{server.pid}:{folder / 'socket'}:{','.join(with_ray)}"
        try:
            patience = {TIMEOUT: os.environ.get(TIMEOUT, START_SECONDS)}
            with scoped_environment({SERVER_VARIABLE: told, **SETTINGS, **patience}):
                yield
        finally:
            _end(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str | None:
    """None for the usual one for temporary files; the path of a socket may have a hundred letters, and is
    told between colons.
    """
    usual = tempfile.gettempdir()
    return None if len(usual) <= LONGEST_FOLDER and ":" not in usual else "/tmp"


def _started(folder: Path, modules: Sequence[str]) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return start_server(folder / "socket", modules, log, until_closed=True)


def _end(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None, "it is a pipe"
    with suppress(OSError):
        server.stdin.close()
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:  # it still imports
        server.kill()
        server.wait()
