"""The outbox: calls to MLflow that wait their turn in a thread of their own, so that no trial waits for its tracking."""

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Job = Callable[[Any], None]
"""Takes the MlflowClient."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
DRAIN_SECONDS = 120.0
"""How long a process that ends waits for MLflow to take what it still holds."""


class Outbox:
    """Runs jobs against one MLflow server in the order they came.

    A job that fails because the server is away or busy is tried again until it passes, and those behind it wait; a job that
    the server rejects is reported on stderr and dropped. Thread-safe. MLflow is imported by the thread: its seconds of import
    pass beside the first epochs.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._jobs: queue.Queue[Job] = queue.Queue()
        self._unfinished = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="mlflow-outbox", daemon=True).start()

    def put(self, job: Job) -> None:
        """Takes a job and returns at once."""
        with self._changed:
            self._unfinished += 1
        self._jobs.put(job)

    def drain(self, timeout_seconds: float) -> bool:
        """Waits until all jobs are done; False if some are left after `timeout_seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unfinished == 0, timeout_seconds)

    def _work(self) -> None:
        from study.tracking.client import connect

        client = connect(self._tracking_uri)
        while True:
            job = self._jobs.get()
            _run(job, client)
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()


def _run(job: Job, client: Any) -> None:
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return job(client)
        except Exception as error:
            if not _is_worth_retrying(error):
                print(f"MLflow rejected what a trial logged: {type(error).__name__}: {error}", file=sys.stderr)
                return None
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def _is_worth_retrying(error: Exception) -> bool:
    """Whether the server, not the request, is at fault: it does not answer, it is overloaded, or its database is locked."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.get_http_status_code() >= 500 or error.get_http_status_code() == 429
    return isinstance(error, OSError)
