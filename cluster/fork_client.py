"""Asking a fork server for a process, and standing in for it until it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from cluster.fork_server import receive, send

SERVER_VARIABLE = "STUDY_WORKER_FORKS"
"""Process and socket of the server that forks the workers of a local Ray, and what it imports with the first
of them, with commas.
"""
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
SERVER_FILE = Path(__file__).with_name("fork_server.py")
SETTINGS = {"MALLOC_ARENA_MAX": "2"}
"""Of a server: glibc otherwise gives each thread memory of its own."""


def start_server(
    place: Path, modules: Sequence[str], log: IO[bytes], *, until_closed: bool = False
) -> subprocess.Popen[bytes]:
    """A server with its socket at `place`, as soon as it has imported the modules; with `until_closed` it
    ends with its standard input, which is a pipe then.
    """
    option = ["--until-closed"] if until_closed else []
    return subprocess.Popen(
        [sys.executable, "-P", str(SERVER_FILE), *option, str(place), *modules],
        env={**os.environ, **SETTINGS},
        stdin=subprocess.PIPE if until_closed else subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def connect(place: Path) -> socket.socket | None:
    """A connection to the server at `place`; None where none answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place))
    except OSError:
        connection.close()
        return None
    return connection


def run_forked(
    connection: socket.socket,
    module: str,
    arguments: Sequence[str],
    path: Sequence[str],
    *,
    imports: Sequence[str] = (),
    read_at_import: Sequence[str] = (),
) -> int | None:
    """Runs a module in a forked process, with this one's environment, folder and standard streams, and hands
    on signals to it; its exit code, or 128 and a signal's number where that ended it.

    `imports` and `read_at_import` are those of the server's `Job`; None where it refuses the job.
    """
    job = {
        "module": module,
        "arguments": list(arguments),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(path),
        "imports": list(imports),
        "read_at_import": list(read_at_import),
    }
    try:
        send(connection, job, (0, 1, 2))
        process = receive(connection)[0]["process"]
    except (EOFError, OSError):
        return None
    try:
        for number in HANDED_ON:
            signal.signal(number, lambda number, _: _signal(process, number))
        code = int(receive(connection)[0]["code"])
    except (EOFError, OSError):
        print("the process that this one was forked from died: how it ended is not known")
        return 1
    return code if code >= 0 else 128 - code


def _signal(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
