"""A process that has imported libraries, and forks a process for each job that needs them.

    python -P fork_server.py [--until-closed] SOCKET MODULE...

A job that is forked starts in milliseconds, and holds in memory what it changes rather than all that it
imports. `fork_client.py` asks for one. The server runs as a script and imports nothing of ours by itself:
each job brings its own version of the code. It ends when nobody has needed it for a while, and with
`--until-closed` also as soon as its standard input is closed; it takes the folder of its socket with it then.
"""

import atexit
import gc
import json
import os
import random
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

IDLE_SECONDS = 300.0
LAST_SECONDS = 1.0
ASKING_SECONDS = 10.0
"""How long who connects may take to say what it wants."""
STANDARD_STREAMS = 3
_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the forked process runs."""

    module: str
    """As `python -m` has it."""
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    path: list[str]
    """Where it looks for modules."""
    imports: list[str] = field(default_factory=list)
    """What the server imports before it forks its first job, in that one's environment."""
    read_at_import: list[str] = field(default_factory=list)
    """Names of the environment's values that these imports read: jobs with others are refused."""


def send(connection: socket.socket, tree: dict[str, Any], streams: tuple[int, ...] = ()) -> None:
    """Sends a message, and with it open files."""
    content = json.dumps(tree).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(content))], list(streams))
    connection.sendall(content)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message, and the files that came with it. Raises EOFError where the other end is gone."""
    head, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, STANDARD_STREAMS)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = bytearray()
    while len(content) < length:
        part = connection.recv(length - len(content))
        if not part:
            raise EOFError
        content += part
    tree: dict[str, Any] = json.loads(content)
    return tree, list(streams)


def main() -> None:
    """Imports the modules, and returns in a forked process only, to run its job."""
    words = sys.argv[1:]
    until_closed = words[:1] == ["--until-closed"]
    place, *modules = words[until_closed:]
    os.chdir("/")
    _import(modules)
    job = _Server(Path(place), until_closed=until_closed).serve()
    if job is not None:
        _run(job)


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)
    gc.collect()
    gc.freeze()  # so that collections in the forked processes do not copy its pages


class _Server:
    def __init__(self, place: Path, *, until_closed: bool) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unfinished = place.with_name(f"{place.name}-{os.getpid()}")
        self._listening.bind(str(unfinished))
        self._listening.listen(128)
        unfinished.rename(place)  # who finds it can connect
        self._place = place
        self._selector = selectors.DefaultSelector()
        self._input = sys.stdin if until_closed else None
        if self._input is not None:
            self._selector.register(self._input, selectors.EVENT_READ)
        self._imported_with: dict[str, str] | None = None
        """What the imports of the first job have read."""
        self._jobs: dict[int, socket.socket] = {}
        """By process, the connection of who asked for it."""

    def serve(self) -> Job | None:
        """A job, in the process that was forked for it; None in the server, at its end."""
        woken, waking = socket.socketpair()
        for end in (woken, waking):
            end.setblocking(False)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        while True:
            events = self._selector.select(IDLE_SECONDS)
            if not events and not self._jobs and self._input is None:
                self._place.unlink(missing_ok=True)
                events = self._selector.select(LAST_SECONDS)  # of who found it just before
                if not events:
                    return None
            for key, _ in events:
                if key.fileobj is self._input:  # nobody writes to it: it was closed
                    shutil.rmtree(self._place.parent, ignore_errors=True)
                    return None
                if key.fileobj is woken:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                    self._tell_ends()
                elif (job := self._accept()) is not None:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for end in (woken, waking):
                        end.close()
                    return job

    def _accept(self) -> Job | None:
        connection, _ = self._listening.accept()
        if not _is_ours(connection):
            connection.close()
            return None
        connection.settimeout(ASKING_SECONDS)
        try:
            tree, streams = receive(connection)
        except (EOFError, OSError, ValueError):
            connection.close()
            return None
        connection.settimeout(None)
        try:
            job = Job(**tree)
            process = os.fork() if self._has_imported(job) else None
        except (TypeError, OSError):  # of another version of the code; no memory, or too many processes
            traceback.print_exc()
            process = None
        if process == 0:
            self._become(connection, streams)
            return job
        for stream in streams:
            os.close(stream)
        if process is None:
            connection.close()
            return None
        self._jobs[process] = connection
        with suppress(OSError):
            send(connection, {"process": process})
        return None

    def _has_imported(self, job: Job) -> bool:
        """Imports what the first job asks for; False for a job for which that was done in another
        environment, and where it fails.
        """
        wanted = {name: job.environment.get(name, "") for name in job.read_at_import}
        if self._imported_with is None and wanted:
            self._imported_with = wanted
            os.environ.update(job.environment)
            try:
                _import(job.imports)
            except Exception:  # noqa: BLE001  jobs that are refused start another way
                traceback.print_exc()
                self._imported_with = {}
        return self._imported_with == wanted or not wanted

    def _become(self, connection: socket.socket, streams: list[int]) -> None:
        """Turns this process, which was just forked, into one of its own."""
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        self._selector.close()
        self._listening.close()
        for other in self._jobs.values():
            other.close()
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()

    def _tell_ends(self) -> None:
        while self._jobs:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            connection = self._jobs.pop(process)
            with suppress(OSError):  # who asked is gone
                send(connection, {"code": os.waitstatus_to_exitcode(status)})
            connection.close()


def _is_ours(connection: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder of the socket lets nobody else in
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(packed)[1] == os.getuid())


def _end_with(connection: socket.socket) -> None:
    """Who asked for this process and dies would have ended it with itself, were it its own."""
    with suppress(OSError):
        while connection.recv(1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


def _run(job: Job) -> None:
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.environment)
    sys.path[:] = job.path
    invalidate_caches()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    sys.argv = [job.module, *job.arguments]
    try:
        runpy.run_module(job.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = _exit_code(end.code)
    except BaseException:  # noqa: BLE001  as Python itself ends
        traceback.print_exc()
        code = 1
    else:
        code = 0
    _end(code)


def _exit_code(told: object) -> int:
    if told is None or isinstance(told, int):
        return told or 0
    print(told, file=sys.stderr)
    return 1


def _end(code: int) -> None:
    """As Python ends, without taking its objects apart: that would touch, and so copy, all that is shared."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
