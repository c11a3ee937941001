"""Requests on their way through the network: read by some threads, classified together by one."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from study.serving.bounds import Bounds
from study.serving.loaded_version import LoadedVersion
from study.serving.request_images import Given, ReadImages, check_images, refused_image, stored_images
from trainables.errors import DatasetError

# N images, H height, W width, C channels, K classes

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels of the picture that was sent."""


class Sight(Protocol):
    """What a model is to see of a picture."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, C) of the largest face, or of the whole picture where there is none."""
        ...

    @property
    def box(self) -> Box | None:
        """Where the face is; None where there is none."""
        ...


class Faces(Protocol):
    """Finds the largest face in a picture; several threads ask it at once."""

    def sight(self, image: Given, *, max_pixels: int) -> Sight:
        """Raises DatasetError for what is no picture, and for one of more pixels, before it is decoded."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What one version says of the images of one request."""

    loaded: LoadedVersion
    images: Sequence[Given]
    """As they were sent."""
    shown: Sequence[Given]
    """What the model was to see of them: faces where those were asked for."""
    probabilities_NK: NDArray[np.float32]
    boxes: Sequence[Box | None] | None
    """Of the faces; None where nobody asked for them."""


@dataclass(kw_only=True, eq=False)
class Job:
    """A request between its body and its answer."""

    loaded: LoadedVersion
    """The version that answers it, whatever is promoted meanwhile."""
    read: ReadImages
    faces: Faces | None
    answered: asyncio.Future[Answer]
    images: Sequence[Given] = ()
    shown: Sequence[Given] = ()
    boxes: list[Box | None] | None = None
    pixels_NHWC: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.uint8))

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for its answer any more."""
        return self.answered.done()

    def decode(self, bounds: Bounds) -> None:
        """From the body to pixels. Raises RequestRefusedError."""
        self.images = self.read()
        check_images(self.images, bounds)
        self.shown = self.images
        if self.faces is not None:
            sights = seen_faces(self.images, self.faces, bounds)
            self.shown, self.boxes = [sight.pixels for sight in sights], [sight.box for sight in sights]
        self.pixels_NHWC = stored_images(self.shown, self.loaded.config, bounds)


def seen_faces(images: Sequence[Given], faces: Faces, bounds: Bounds) -> list[Sight]:
    """What the model is to see of each picture. Raises RequestRefusedError."""
    sights = []
    for number, image in enumerate(images, 1):
        try:
            sights.append(faces.sight(image, max_pixels=bounds.image_pixels))
        except DatasetError as error:
            raise refused_image(number, len(images), str(error)) from None
    return sights


Outcome = tuple[Job, Answer | Exception]


class Batching:
    """Threads that read requests, and the one that runs the network.

    A request that waits is answered by the version that was current when it came. The network runs requests
    of one version together, up to `images_per_batch` images. It waits for more only while others are being
    read, and `gather_milliseconds` at most.
    """

    def __init__(
        self, bounds: Bounds, *, num_readers: int = 1, note_batch: Callable[[int], None] = lambda _: None
    ) -> None:
        self._bounds = bounds
        self._note_batch = note_batch
        self._unread: SimpleQueue[Job | None] = SimpleQueue()
        self._read = _ReadJobs(bounds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers = [
            threading.Thread(target=self._read_jobs, name=f"reading-{number}", daemon=True)
            for number in range(num_readers)
        ]
        self._network = threading.Thread(target=self._run_batches, name="network", daemon=True)

    def start(self) -> None:
        """Begins to work for the running event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in (*self._readers, self._network):
            thread.start()

    def close(self) -> None:
        """Ends the threads once they are through with what was submitted."""
        for _ in self._readers:
            self._unread.put(None)
        for thread in self._readers:
            thread.join()
        self._read.close()
        self._network.join()

    def expecting(self) -> "Expected":
        """A block in which a request is on its way: batches wait for it for a moment."""
        return Expected(self._read)

    async def answer(
        self, loaded: LoadedVersion, read: ReadImages, expected: "Expected", faces: Faces | None = None
    ) -> Answer:
        """What `loaded` says of the images that `read` returns. Raises RequestRefusedError."""
        assert self._loop is not None, "batching has not started"
        job = Job(loaded=loaded, read=read, faces=faces, answered=self._loop.create_future())
        expected.hand_over()
        self._unread.put(job)
        return await job.answered

    def _read_jobs(self) -> None:
        while (job := self._unread.get()) is not None:
            problem = None
            if not job.is_over:
                try:
                    job.decode(self._bounds)
                except Exception as error:  # noqa: BLE001  whoever waits for the answer raises it
                    problem = error
            if problem is None and not job.is_over:
                self._read.put(job)
            else:
                self._read.leave()
                self._settle([(job, problem)] if problem is not None else [])

    def _run_batches(self) -> None:
        while (jobs := self._read.take()) is not None:
            waiting = [job for job in jobs if not job.is_over]
            for _, of_version in groupby(waiting, key=lambda job: id(job.loaded)):
                self._settle(self._run(list(of_version)))

    def _run(self, jobs: Sequence[Job]) -> list[Outcome]:
        try:
            images_NHWC = (
                jobs[0].pixels_NHWC if len(jobs) == 1 else np.concatenate([job.pixels_NHWC for job in jobs])
            )
            probabilities_NK = jobs[0].loaded.probabilities(images_NHWC)
        except Exception as error:  # noqa: BLE001  whoever waits for the answers raises it
            return [(job, error) for job in jobs]
        self._note_batch(len(images_NHWC))
        outcomes: list[Outcome] = []
        start = 0
        for job in jobs:
            end = start + len(job.pixels_NHWC)
            answer = Answer(
                loaded=job.loaded,
                images=job.images,
                shown=job.shown,
                probabilities_NK=probabilities_NK[start:end],
                boxes=job.boxes,
            )
            outcomes.append((job, answer))
            start = end
        return outcomes

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                self._loop.call_soon_threadsafe(_settle_all, outcomes)


def _settle_all(outcomes: Iterable[Outcome]) -> None:
    for job, outcome in outcomes:
        if job.answered.done():
            continue
        if isinstance(outcome, Exception):
            job.answered.set_exception(outcome)
        else:
            job.answered.set_result(outcome)


class Expected:
    """One request that a batch may wait for, inside a block."""

    def __init__(self, read: "_ReadJobs") -> None:
        self._read = read
        self._is_ours = False

    def __enter__(self) -> "Expected":
        self._is_ours = True
        self._read.expect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._is_ours = False
            self._read.leave()

    def hand_over(self) -> None:
        """From now on the threads say that it has come, or has gone."""
        self._is_ours = False


class _ReadJobs:
    """Jobs whose images are decoded, for the thread of the network; those who decode wait for room."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._jobs: deque[Job] = deque()
        self._num_images = 0
        self._num_expected = 0
        self._is_closed = False
        lock = threading.Lock()
        self._arrived, self._has_room = threading.Condition(lock), threading.Condition(lock)

    def expect(self) -> None:
        with self._arrived:
            self._num_expected += 1

    def leave(self) -> None:
        """One that was expected does not come."""
        with self._arrived:
            self._num_expected -= 1
            if not self._num_expected:
                self._arrived.notify()

    def put(self, job: Job) -> None:
        """One that was expected is here; waits while too many images wait."""
        num_images = len(job.pixels_NHWC)
        with self._has_room:
            while self._num_images + num_images > self._bounds.waiting_images and self._jobs:
                self._has_room.wait()
            self._jobs.append(job)
            self._num_images += num_images
            self._num_expected -= 1
            if len(self._jobs) == 1 or not self._num_expected or self._is_full:
                self._arrived.notify()

    def take(self) -> list[Job] | None:
        """What goes through the network next; None once all is done and closed."""
        with self._arrived:
            while not self._jobs and not self._is_closed:
                self._arrived.wait()
            end = time.monotonic() + self._bounds.gather_milliseconds / 1000
            while self._num_expected and not self._is_full and not self._is_closed:
                left = end - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    break
            return self._next() if self._jobs else None

    def close(self) -> None:
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()

    @property
    def _is_full(self) -> bool:
        return self._num_images >= self._bounds.images_per_batch

    def _next(self) -> list[Job]:
        taken = [self._jobs.popleft()]
        num_images = len(taken[0].pixels_NHWC)
        while self._jobs and num_images + len(self._jobs[0].pixels_NHWC) <= self._bounds.images_per_batch:
            taken.append(self._jobs.popleft())
            num_images += len(taken[-1].pixels_NHWC)
        self._num_images -= num_images
        self._has_room.notify_all()
        return taken
