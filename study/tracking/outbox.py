"""The outbox: a thread that sends logs to MLflow, so that no trial waits for its tracking."""

import random
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.scoped_environment import scoped_environment
from study.tracking.delivery import Delivery
from study.tracking.run_log import RunLog

if TYPE_CHECKING:
    from mlflow import MlflowClient

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
LOCKED_PAUSE_SECONDS = 0.2
"""After which a log that another process holds is looked at again."""
GATHERING_SECONDS = 10.0
"""The epochs of one run take at most one call in so long: a call costs MLflow's server about as much as fifty
rows, and its pages are not read by the second."""
_ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own tries, up to four minutes for one call, would hide that a server is back, and make runs twice.
"""
_STORE_LIBRARIES = ("boto3", "botocore", "s3transfer", "urllib3", "google", "azure")
"""Libraries under MLflow whose exceptions mean that a server is away, or that one has no right there."""


@dataclass
class _Entry:
    delivery: Delivery
    is_begun: bool = False
    """Whether the lock is held and the delivery knows how far it is."""
    on_sent: Callable[[Delivery], bool] | None = None
    """Called by the thread, under the log's lock, when the log was left and is sent; False if there is more
    to send now.
    """
    is_left: bool = False
    gathers_until: float = 0.0
    """By the monotonic clock: epochs that come before it wait for others."""


class Outbox:
    """Sends logs to one MLflow server, each in its order.

    Epochs of one run that follow each other within GATHERING_SECONDS go together, unless somebody waits for
    them or the log is left; everything else goes at once. A record that fails because the server is away or
    busy is tried again until it passes, and those behind it wait, as they do for a run that cannot be opened;
    any other that the server rejects is reported on stderr and dropped. Thread-safe. MLflow is imported by
    the thread: its seconds of import pass beside the first epochs.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._entries: list[_Entry] = []
        self._num_wakes = self._num_served = 0
        self._num_hurries = self._num_drains = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self.num_sent = 0
        """Calls that MLflow took."""
        self.trouble: str | None = None
        """Why MLflow does not take what is tried now; None while all goes well."""

    def start(self) -> "Outbox":
        """Starts the thread that sends; returns the outbox itself."""
        threading.Thread(target=self._work, name="mlflow-outbox", daemon=True).start()
        return self

    def hold(self, log: RunLog) -> Delivery:
        """Sends a log's records and, after each `wake`, those appended since; holds its lock until
        `leave`.
        """
        with self._changed:
            for entry in self._entries:
                if entry.delivery.log.name == log.name:
                    entry.is_left = False
                    return entry.delivery
            is_mine = log.lock()
            entry = _Entry(Delivery(log, may_exist=not is_mine or log.num_waiting > 0))
            self._entries.append(entry)
        self.wake()
        return entry.delivery

    def leave(self, delivery: Delivery, on_sent: Callable[[Delivery], bool] | None = None) -> None:
        """Lets go of a log once all of it is sent and `on_sent`, called by the thread, adds nothing."""
        with self._changed:
            for entry in self._entries:
                if entry.delivery is delivery:
                    entry.is_left, entry.on_sent = True, on_sent
        self.wake()

    def wake(self, *, can_wait: bool = False) -> None:
        """Notes that something was appended, which `can_wait` for what comes within seconds; returns
        immediately.
        """
        with self._changed:
            self._num_wakes += 1
            self._num_hurries += not can_wait
            self._changed.notify_all()

    def drain(self, timeout_seconds: float) -> bool:
        """Waits until everything is sent; False if something is left after `timeout_seconds`."""
        with self._changed:
            self._num_drains += 1
            self._num_hurries += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._num_served == self._num_wakes, timeout_seconds)
            finally:
                self._num_drains -= 1

    def close(self) -> None:
        """Sends nothing after the call that is under way; returns immediately. What is left stays on disk,
        for the next outbox.
        """
        self._is_closed = True
        self.wake()

    def _work(self) -> None:
        try:
            self._send_until_closed()
        finally:
            for entry in self._entries:
                entry.delivery.log.unlock()

    def _send_until_closed(self) -> None:
        client = None
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._is_closed:
            with self._changed:
                self._changed.wait_for(lambda: self._num_served < self._num_wakes)
                num_wakes, num_hurries = self._num_wakes, self._num_hurries
            num_sent_before = self.num_sent
            try:
                client = client or _connect(self._tracking_uri)
                seconds = self._serve_all(client)
            except Exception as error:  # noqa: BLE001  whatever it is, what waits is tried again
                self.trouble = _one_line(error)
                pause_seconds = (
                    FIRST_PAUSE_SECONDS
                    if self.num_sent > num_sent_before
                    else min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
                )
                time.sleep(
                    pause_seconds * random.uniform(0.75, 1.25)
                )  # many processes must not come back at the same moment
                continue
            self.trouble, pause_seconds = None, FIRST_PAUSE_SECONDS
            if seconds is None:
                with self._changed:
                    self._num_served = num_wakes
                    self._changed.notify_all()
            else:
                self._pause(seconds, num_hurries)

    def _pause(self, seconds: float, num_hurries: int) -> None:
        """Waits for so long, or until there is something that cannot wait."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_hurries > num_hurries, seconds)

    def _serve_all(self, client: "MlflowClient") -> float | None:
        """Sends what the logs hold; the seconds after which to look again, None if all is sent. Raises what
        is worth another try.
        """
        soonest = None
        for entry in list(self._entries):
            try:
                seconds = self._serve(entry, client)
            except Exception:
                with self._changed:  # the others come first next time, should it be this one alone that fails
                    self._entries.remove(entry)
                    self._entries.append(entry)
                raise
            soonest = seconds if soonest is None else min(soonest, seconds or soonest)
        return soonest

    def _serve(self, entry: _Entry, client: "MlflowClient") -> float | None:
        """As `_serve_all`, for one log: another process may have its lock, or its epochs wait for others."""
        delivery = entry.delivery
        if not delivery.log.lock():
            return LOCKED_PAUSE_SECONDS
        if not entry.is_begun:
            delivery.begin()
            entry.is_begun = True
        if (seconds := self._send(entry, client)) is not None:
            return seconds
        while (
            entry.is_left
            and not self._is_closed
            and entry.on_sent is not None
            and not entry.on_sent(delivery)
        ):
            self._send(entry, client)
        with self._changed:
            if entry.is_left:  # and nobody holds it again
                self._entries.remove(entry)
                delivery.log.unlock()
        return None

    def _send(self, entry: _Entry, client: "MlflowClient") -> float | None:
        """Sends what the log holds; the seconds for which its epochs wait for others, None if none do."""
        delivery = entry.delivery
        while not self._is_closed and delivery.take():
            if delivery.may_gather:
                seconds = entry.gathers_until - time.monotonic()
                if seconds > 0 and not entry.is_left and not self._num_drains:
                    return seconds
            try:
                with scoped_environment(_ONE_TRY):
                    delivery.send(client)
            except Exception as error:
                if is_worth_retrying(error) or delivery.is_opening:
                    raise
                if delivery.drop():
                    print(
                        f"MLflow rejected what {delivery.log.name} logged: {type(error).__name__}: {error}",
                        file=sys.stderr,
                    )
            else:
                self.num_sent += 1
                if delivery.may_gather:
                    entry.gathers_until = time.monotonic() + GATHERING_SECONDS
        return None


def _connect(tracking_uri: str) -> Any:
    from study.connections.mlflow_client import check_reachable, connect

    check_reachable(tracking_uri)  # for MLflow itself waits up to half an hour for a database
    return connect(tracking_uri)


def is_worth_retrying(error: Exception) -> bool:
    """Whether the server or the network is at fault, and not the record: away, overloaded, locked,
    forbidden.
    """
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        if (
            error.error_code == "BAD_REQUEST"
        ):  # how MLflow reports a failure of its database, unless the database rejects the value
            return not re.search(r"DataError|StatementError", str(error))
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return status >= 500 or status in (401, 403, 408, 429)
    return isinstance(error, OSError | ImportError) or type(error).__module__.startswith(_STORE_LIBRARIES)


def _one_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
