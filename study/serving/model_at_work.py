"""The model that answers: the version of now, and the requests that are under way."""

from collections.abc import Callable
from typing import Protocol

from study.serving.batching import Answer, Batching, Faces
from study.serving.bounds import Bounds
from study.serving.following import Following
from study.serving.loaded_version import LoadedVersion
from study.serving.refusals import RequestRefusedError
from study.serving.request_images import ReadImages
from study.serving.serving_metrics import ServingMetrics


class Part(Protocol):
    """What starts and ends with a server."""

    def start(self) -> None:
        """Begins to work."""
        ...

    def close(self) -> None:
        """Ends."""
        ...


class ServedModel:
    """Answers requests by the version of now. All but `take` is for one event loop alone.

    A request is answered as a whole by the version that was current when it came.
    """

    def __init__(
        self, first: LoadedVersion, bounds: Bounds, metrics: ServingMetrics, *, num_readers: int = 1
    ) -> None:
        self.metrics = metrics
        self.current = first
        self.following: Following | None = None
        self.is_open = False
        self.num_answered = 0
        self._bounds = bounds
        self._batching = Batching(bounds, num_readers=num_readers, note_batch=metrics.note_batch)
        self._parts: list[Part] = []
        self._listeners: list[Callable[[Answer], None]] = []
        self._num_waiting = 0
        self._num_bytes = 0
        metrics.note_version(first, is_first=True)
        metrics.waiting.set_function(lambda: self._num_waiting)
        metrics.is_following.set_function(lambda: self.problem is None)

    def add(self, part: Part, listener: Callable[[Answer], None] | None = None) -> None:
        """Something that starts and ends with this one; `listener` hears each answer, and returns at once."""
        self._parts.append(part)
        if listener is not None:
            self._listeners.append(listener)

    def follow(self, following: Following) -> None:
        """Who hands on the versions that take over."""
        self.following = following
        self.add(following)

    @property
    def problem(self) -> str | None:
        """Why the version of now may not be the one that is meant; None while all is well."""
        return None if self.following is None else self.following.problem

    def take(self, loaded: LoadedVersion) -> None:
        """Requests that come from now on are answered by this version; for any thread."""
        self.current = loaded
        self.metrics.note_version(loaded)

    def start(self) -> None:
        """Begins to answer, in the running event loop."""
        self._batching.start()
        for part in self._parts:
            part.start()
        self.is_open = True

    def close(self) -> None:
        """Ends once what is under way is answered."""
        self.is_open = False
        self._batching.close()
        for part in reversed(self._parts):
            part.close()

    def admit(self) -> "Admitted":
        """A block in which a request is read and answered. Raises RequestRefusedError where too many wait."""
        if not self.is_open:
            raise RequestRefusedError(503, "this server is ending; ask another one", retry_after=1)
        return Admitted(self, self._batching, self._bounds)

    async def answer(self, admitted: "Admitted", read: ReadImages, faces: Faces | None = None) -> Answer:
        """What the version of now says of the images that `read` returns. Raises RequestRefusedError."""
        answer = await self._batching.answer(self.current, read, admitted.expected, faces)
        self.num_answered += 1
        self.metrics.note_answer(answer)
        for listener in self._listeners:
            listener(answer)
        return answer

    def hold(self, num_requests: int, num_bytes: int) -> None:
        """Counts what waits. Raises RequestRefusedError where it is too much, and counts it not."""
        if self._num_waiting + num_requests > self._bounds.waiting_requests:
            raise self._busy(f"{self._num_waiting:,} requests wait, and more are not taken")
        if self._num_bytes + num_bytes > self._bounds.waiting_bytes:
            raise self._busy(f"requests of {self._num_bytes:,} bytes wait, and more are not taken")
        self._num_waiting += num_requests
        self._num_bytes += num_bytes

    def let_go(self, num_requests: int, num_bytes: int) -> None:
        """What was held is answered, or gone."""
        self._num_waiting -= num_requests
        self._num_bytes -= num_bytes

    @staticmethod
    def _busy(reason: str) -> RequestRefusedError:
        return RequestRefusedError(429, f"{reason}; try again in a second", retry_after=1)


class Admitted:
    """A request that this server has taken on, inside a block."""

    def __init__(self, model: ServedModel, batching: Batching, bounds: Bounds) -> None:
        self.expected = batching.expecting()
        self._model = model
        self._bounds = bounds
        self._num_bytes = 0

    def __enter__(self) -> "Admitted":
        self._model.hold(1, 0)
        self.expected.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.expected.__exit__()
        self._model.let_go(1, self._num_bytes)

    def hold(self, num_bytes: int) -> None:
        """Counts bytes of its body before they are kept. Raises RequestRefusedError for too many."""
        most = self._bounds.request_bytes
        if self._num_bytes + num_bytes > most:
            raise RequestRefusedError(
                413, f"a request may have {most:,} bytes, and this one has more; send fewer or smaller images"
            )
        self._model.hold(0, num_bytes)
        self._num_bytes += num_bytes
