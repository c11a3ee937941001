"""The lifeline to Ray: a cluster that is gone interrupts the work, which would wait for it without a word."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from cluster.errors import ClusterError

SECONDS_BETWEEN_LOOKS = 3.0
MOST_FAILURES = 5
"""Looks in a row at which the cluster's head does not answer, before it counts as gone."""
_CONNECT_SECONDS = 2.0
GRACE_SECONDS = 60.0
HEAD_GRACE_SECONDS = 10.0
_NEEDED = ("raylet", "gcs_server")
_WAY_OUT = "nothing measured is lost, and a study that has begun goes on with `study resume NAME`"


@dataclass(frozen=True)
class _Loss:
    reason: str
    grace_seconds: float
    """How long the work may take to end in order. Without the head Ray's calls never return, and Ray ends the
    process after a minute, without a word that helps."""


@contextmanager
def lifeline(gcs_address: str, last_words: Callable[[str], object]) -> Iterator[None]:
    """Interrupts the block (SIGINT) within half a minute after the cluster is gone, and raises ClusterError.

    Gone is a cluster whose head does not answer at `gcs_address`, or, of those that this process started, one
    whose own processes have ended. Where the block does not end then, because Ray's calls never return, the
    process does, with exit code 2; `last_words` tells a person why.
    """
    watch = _Watch(gcs_address, _own_processes(), last_words)
    watch.start()
    try:
        yield
    except KeyboardInterrupt:
        if watch.loss is None:
            raise
        raise ClusterError(f"{watch.loss.reason}; {_WAY_OUT}") from None
    finally:
        watch.end()


class _Watch:
    def __init__(
        self, gcs_address: str, processes: Mapping[str, psutil.Process], last_words: Callable[[str], object]
    ) -> None:
        self._gcs_address = gcs_address
        self._processes = processes
        self._last_words = last_words
        self._is_over = threading.Event()
        self._num_failures = 0
        self.loss: _Loss | None = None

    def start(self) -> None:
        threading.Thread(target=self._look_until_over, name="lifeline", daemon=True).start()

    def end(self) -> None:
        self._is_over.set()

    def _look_until_over(self) -> None:
        while self.loss is None:
            if self._is_over.wait(SECONDS_BETWEEN_LOOKS):
                return
            self.loss = self._look()
        os.kill(os.getpid(), signal.SIGINT)
        if not self._is_over.wait(self.loss.grace_seconds):
            try:
                self._last_words(f"error: {self.loss.reason}; {_WAY_OUT}")
            finally:
                os._exit(2)

    def _look(self) -> _Loss | None:
        ended = [name for name, process in self._processes.items() if _has_ended(process)]
        if ended:
            return _Loss(
                "Ray's own process on this machine has ended (killed, or no memory was left)",
                HEAD_GRACE_SECONDS if "gcs_server" in ended else GRACE_SECONDS,
            )
        self._num_failures = 0 if self._answers() else self._num_failures + 1
        if self._num_failures < MOST_FAILURES:
            return None
        return _Loss(
            f"the Ray cluster at {self._gcs_address} is gone: its head does not answer any more",
            HEAD_GRACE_SECONDS,
        )

    def _answers(self) -> bool:
        host, _, port = self._gcs_address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


def _own_processes() -> dict[str, psutil.Process]:
    """Those of a cluster that this process started, without which nothing runs."""
    named = {_name(child): child for child in psutil.Process().children()}
    return {name: child for name, child in named.items() if name in _NEEDED}


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _name(process: psutil.Process) -> str:
    try:
        return os.path.basename(next(iter(process.cmdline()), ""))
    except psutil.Error:
        return ""
