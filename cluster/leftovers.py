"""Ray's processes that outlive their driver: noted while it lives, ended by whoever comes after it.

A driver that is killed cannot end what it started: Ray's agents go on for minutes, and hold memory and ports.
Each driver keeps a file with the number, the start and the command of every process of its local Ray. What
does not fit all three is never ended: it is another process that got the number.
"""

import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from pydantic import TypeAdapter, ValidationError

SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_TO_END = 10.0
_SAME_START_SECONDS = 1.5
"""The system's clock, by which starts are told, is set right by as much."""
_OF_RAY = ("ray::", "/ray/core/", "/ray/_private/", "/ray/dashboard/", "/ray/autoscaler/")
"""In the commands of Ray's processes; workers change theirs as they go."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A process of Ray that a driver started, or that one of these started."""

    process: int
    started: float
    """Seconds since 1970."""
    command: str

    @classmethod
    def of(cls, process: psutil.Process) -> "Started | None":
        """None for a process that is no part of Ray, or has ended."""
        try:
            command = " ".join(process.cmdline()).strip()
            found = cls(process=process.pid, started=process.create_time(), command=command)
        except psutil.Error:
            return None
        return found if any(part in command for part in _OF_RAY) else None

    def find(self) -> psutil.Process | None:
        """The process, while it lives; never another one that got its number."""
        try:
            process = psutil.Process(self.process)
            now = Started.of(process)
        except psutil.Error:
            return None
        if now is None or abs(now.started - self.started) > _SAME_START_SECONDS:
            return None
        is_same = now.command == self.command or now.command.startswith("ray::")
        return process if is_same else None


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What is left of the local Ray of a driver that is dead."""

    file: Path
    """Where it is noted."""
    driver: int
    """The driver's process."""
    session: str | None
    """The folder with Ray's logs."""
    alive: tuple[psutil.Process, ...]


@dataclass(frozen=True, kw_only=True)
class _Note:
    host: str
    driver: int
    driver_started: float
    session: str | None
    processes: tuple[Started, ...]


_NOTE = TypeAdapter(_Note)


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Notes in `folder` the processes of Ray below this one until the block ends, as they come and go.

    Those that live on after the block stay noted.
    """
    noting = _Noting(folder)
    thread = threading.Thread(target=noting.note_until_over, name="ray-processes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        noting.is_over.set()
        thread.join()
        noting.note()


def leftovers(folder: Path) -> tuple[Leftover, ...]:
    """What drivers of this machine that are dead left running, by what is noted in `folder`."""
    found = []
    for file in sorted(folder.glob("*.json")):
        note = _read(file)
        if note is None or note.host != socket.gethostname() or _is_alive(note):
            continue
        alive = tuple(process for one in note.processes if (process := one.find()) is not None)
        found.append(Leftover(file=file, driver=note.driver, session=note.session, alive=alive))
    return tuple(found)


def end_leftovers(folder: Path) -> int:
    """Kills what dead drivers left running, and says how many processes that were."""
    num_ended = 0
    for left in leftovers(folder):
        num_ended += len(left.alive)
        end(left)
    return num_ended


def end(left: Leftover) -> None:
    """Kills the processes of a dead driver, waits for their end and forgets them."""
    for process in left.alive:
        try:
            process.kill()  # psutil looks once more whether the number is still that process's
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(left.alive, SECONDS_TO_END)
    if not alive:
        left.file.unlink(missing_ok=True)


class _Noting:
    def __init__(self, folder: Path) -> None:
        self.is_over = threading.Event()
        self._driver = psutil.Process()
        self._file = folder / f"{socket.gethostname()}-{self._driver.pid}.json"
        self._known: dict[tuple[int, float], Started] = {}

    def note_until_over(self) -> None:
        while not self.is_over.wait(SECONDS_BETWEEN_LOOKS):
            self.note()

    def note(self) -> None:
        """Those that were seen before stay noted while they live, also where their parent has died."""
        children = filter(None, map(Started.of, self._driver.children(recursive=True)))
        seen = {(one.process, one.started): one for one in children}
        for key, one in self._known.items():
            if key not in seen and one.find() is not None:
                seen[key] = one
        if seen == self._known:
            return
        self._known = seen
        try:
            if seen:
                self._write(tuple(seen.values()))
            else:
                self._file.unlink(missing_ok=True)
        except OSError:  # the home is full, or gone: the study says so itself
            return

    def _write(self, processes: Sequence[Started]) -> None:
        note = _Note(
            host=socket.gethostname(),
            driver=self._driver.pid,
            driver_started=self._driver.create_time(),
            session=_session(processes),
            processes=tuple(processes),
        )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(note)), encoding="utf-8")
        os.chmod(unfinished, 0o600)
        unfinished.replace(self._file)


def _session(processes: Sequence[Started]) -> str | None:
    """The folder that Ray's own processes log to."""
    words = (word for one in processes for word in one.command.split())
    return next((word.partition("=")[2] for word in words if word.startswith("--session-dir=")), None)


def _read(file: Path) -> _Note | None:
    try:
        return _NOTE.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _is_alive(note: _Note) -> bool:
    try:
        driver = psutil.Process(note.driver)
        if driver.status() == psutil.STATUS_ZOMBIE:
            return False
        started: float = driver.create_time()
    except psutil.Error:
        return False
    return abs(started - note.driver_started) <= _SAME_START_SECONDS
