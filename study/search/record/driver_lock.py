"""The lock of a study: at any time one process drives it, and everybody can see which.

The driver holds a file lock (flock) on `driver.lock`, which ends with its process however that ends, and
renews the file's time as a sign of life. The lock is exact on one machine and on shared folders that carry
locks from machine to machine (NFS from version 4 on, Lustre with `flock`). On a shared folder that does not,
the sign of life stands in for it: a driver on another machine counts as alive for `LEASE_SECONDS` after its
last one.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from study.errors import StudyError
from study.user import current_user

LOCK_FILE = "driver.lock"
RENEWAL_SECONDS = 5.0
LEASE_SECONDS = 60.0
"""How long a driver on another machine counts as alive after its last sign of life."""
_NUM_TRIES = 10
_PAUSE_SECONDS = 0.1
"""Between tries; somebody who looks holds the lock for an instant."""

Phase = Literal["starting", "queued", "running"]
OnPhase = Callable[[Phase, str | None], None]
"""Is told what a driver does now, and why where it waits."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The process that drives a study."""

    host: str
    process: int
    user: str
    since: float
    """Seconds since 1970."""
    phase: Phase = "starting"
    """`queued` where it waits for its first slot on a cluster that is shared."""
    last_sign: float = 0.0
    """Its last sign of life, in seconds since 1970 by the clock of the file system."""

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"by {self.user} on {self.host} (process {self.process}) since {since}"


_DRIVER = TypeAdapter(Driver)


class DriverLock:
    """The lock while this process holds it."""

    def __init__(self, opened: int, driver: Driver) -> None:
        self._opened = opened
        self._driver = driver
        self._guard = threading.Lock()
        self._is_released = threading.Event()
        self._write()

    def note(self, phase: Phase) -> None:
        """Shows everybody what the driver does now."""
        with self._guard:
            if phase != self._driver.phase:
                self._driver = replace(self._driver, phase=phase)
                self._write()

    def renew_until_released(self) -> None:
        """Gives a sign of life every few seconds."""
        while not self._is_released.wait(RENEWAL_SECONDS):
            try:
                os.utime(self._opened)
            except OSError:  # the next one may succeed, and the lock holds without it
                continue

    def release(self) -> None:
        """Ends the signs of life."""
        self._is_released.set()

    def _write(self) -> None:
        content = json.dumps(asdict(self._driver)).encode()
        os.pwrite(self._opened, content, 0)
        os.ftruncate(self._opened, len(content))


@contextmanager
def driving(folder: Path) -> Iterator[DriverLock]:
    """Makes this process the driver of the study in `folder` for as long as the block runs.

    Raises StudyError, which says who it is, while another process is.
    """
    path = folder / LOCK_FILE
    opened = _acquire(path)
    try:
        here = Driver(host=socket.gethostname(), process=os.getpid(), user=current_user(), since=time.time())
        lock = DriverLock(opened, here)
        renewing = threading.Thread(target=lock.renew_until_released, name="driver-lock", daemon=True)
        renewing.start()
        try:
            yield lock
        finally:
            lock.release()
            renewing.join()
            path.unlink(missing_ok=True)
    finally:
        os.close(opened)


def driver_of(folder: Path) -> Driver | None:
    """The process that drives the study in `folder` now; None where there is none."""
    try:
        opened = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        found = _read(opened)
        is_free = _flock(opened, fcntl.LOCK_SH)
        return found if not is_free or _is_alive_elsewhere(found, time.time()) else None
    finally:
        os.close(opened)


def _acquire(path: Path) -> int:
    for _ in range(_NUM_TRIES):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            found = _read(opened)
            if _flock(opened, fcntl.LOCK_EX) and _is_same_file(opened, path):
                if _is_alive_elsewhere(found, _time_of_file_system(path)):
                    raise StudyError(_refusal(path, found))
                return opened
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)
        time.sleep(_PAUSE_SECONDS)
    raise StudyError(_refusal(path, found))


def _refusal(path: Path, driver: Driver | None) -> str:
    name = path.parent.name
    who = str(driver) if driver is not None else "by another process"
    return (
        f"study {name!r} is driven {who}, and one process at a time drives a study; look at it: study show "
        f"{name}; stop it: study stop {name}"
    )


def _flock(opened: int, kind: int) -> bool:
    """Whether this process got the lock; True where the file system has no locks."""
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_alive_elsewhere(driver: Driver | None, now: float) -> bool:
    """Whether a driver whose lock does not reach this machine gave a sign of life just now."""
    return (
        driver is not None and driver.host != socket.gethostname() and now - driver.last_sign < LEASE_SECONDS
    )


def _read(opened: int) -> Driver | None:
    try:
        found = _DRIVER.validate_json(os.pread(opened, 4096, 0))
    except ValidationError:  # empty, or written at this moment
        return None
    return replace(found, last_sign=os.fstat(opened).st_mtime)


def _time_of_file_system(path: Path) -> float:
    """Now, by the clock that gives files their times."""
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _is_same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False
