"""Work beside the answers, which never wait for it: a thread does it, and drops what is too much."""

import threading
from collections.abc import Callable
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

NUM_WAITING = 64


class Beside(Generic[T]):
    """A thread that works through what is noted, in order.

    What comes while `NUM_WAITING` others wait is dropped. A failure is told to `failed`, and the next one
    follows.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        *,
        dropped: Callable[[T], None] = lambda _: None,
        failed: Callable[[T, Exception], None] = lambda *_: None,
    ) -> None:
        self._work = work
        self._dropped = dropped
        self._failed = failed
        self._waiting: Queue[T | None] = Queue(NUM_WAITING)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def note(self, item: T) -> None:
        """Leaves something to do, and returns at once."""
        try:
            self._waiting.put_nowait(item)
        except Full:
            self._dropped(item)

    def close(self) -> None:
        """Ends the thread once it is through with what waits."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001  the thread goes on, and the failure is counted
                self._failed(item, error)
