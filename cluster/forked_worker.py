"""The command by which a local Ray starts a worker: the worker is forked from a process that has the
libraries, and this one stands in for it until it ends.

Ray calls it in place of its own `setup_worker.py`, with the same words: the context of a runtime environment,
if there is one, then the script of the worker and the script's own words. It imports nothing but the standard
library. Where it cannot fork, Ray's own way is taken.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

sys.path[:] = [*sys.path[1:], str(Path(__file__).resolve().parents[1])]  # without this file's own folder

from cluster.fork_client import SERVER_VARIABLE, connect, run_forked  # noqa: E402  it may not be installed

WORKER_MODULE = "ray._private.workers.default_worker"
READ_AT_IMPORT = ("RAY_JOB_ID", "RAY_RAYLET_PID")
"""What Ray's core reads when it is imported, and what its workers are told by."""
START_SECONDS = 60.0
"""For the server's imports; Ray gives a worker twice as long."""
POLL_SECONDS = 0.02
_CONTEXT, _LANGUAGE = "--serialized-runtime-env-context=", "--language="


def main() -> None:
    """Becomes a worker, or the front of one."""
    words = sys.argv[1:]
    context = _context(words)
    script, *arguments = (word for word in words if not word.startswith((_CONTEXT, _LANGUAGE)))
    # What else a context may ask for, such as a container, only Ray's own way can do.
    if context.keys() <= {"env_vars"}:
        code = _forked(arguments, context.get("env_vars", {}))
        if code is not None:
            sys.exit(code)
    setup = Path(script).with_name("setup_worker.py")
    os.execv(sys.executable, [sys.executable, str(setup), *words])


def _forked(arguments: list[str], environment: dict[str, str]) -> int | None:
    """The exit code of a worker that was forked; None where none was."""
    process, place, imports = [*os.environ.get(SERVER_VARIABLE, "").split(":"), "", ""][:3]
    connection = _connected(process, place)
    if connection is None:
        return None
    os.environ.update(environment)
    return run_forked(
        connection,
        WORKER_MODULE,
        arguments,
        sys.path,
        imports=["ray", *imports.split(",")],
        read_at_import=READ_AT_IMPORT,
    )


def _context(words: list[str]) -> dict[str, dict[str, str]]:
    """What a runtime environment asks for, empty values left out."""
    given = [word.removeprefix(_CONTEXT) for word in words if word.startswith(_CONTEXT)]
    tree = json.loads(given[0]) if given else {}
    return {name: value for name, value in tree.items() if value and value != sys.executable}


def _connected(process: str, place: str) -> socket.socket | None:
    """A connection to the server, once it has its imports; None where it is gone or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while process and _lives(process) and time.monotonic() < deadline:
        connection = connect(Path(place))
        if connection is not None:
            return connection
        time.sleep(POLL_SECONDS)
    return None


def _lives(process: str) -> bool:
    """False for a zombie, too: the driver, whose child it is, waits for it at the end."""
    try:
        state = Path("/proc", process, "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


if __name__ == "__main__":
    main()
