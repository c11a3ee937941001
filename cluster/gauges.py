"""Gauges: numbers that Ray exports for Prometheus on each machine's metrics port, beside its own.

Ray puts `ray_` before each name. What a process set goes with the process.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.util.metrics import Gauge

SECONDS_BETWEEN_SAMPLES = 5.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of a gauge."""

    name: str
    """Without `ray_`."""
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)
    """All samples of a gauge have the same keys."""


Read = Callable[[], Iterable[Sample]]
"""Is called by a thread of its own."""


@contextmanager
def published(
    read: Read, about: Mapping[str, str], seconds: float = SECONDS_BETWEEN_SAMPLES
) -> Iterator[None]:
    """Publishes what `read` returns every so often while the block runs; this process is connected to Ray.

    `about` says what each gauge is, by name.
    """
    is_over = threading.Event()
    thread = threading.Thread(
        target=_publish, args=(_Published(about), read, seconds, is_over), name="gauges", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def publish_from_actor(read: Read, about: Mapping[str, str]) -> None:
    """The same for as long as this process lives, where it is that of a Ray actor; elsewhere nothing."""
    if "ray" not in sys.modules:
        return
    import ray

    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return
    threading.Thread(
        target=_publish,
        args=(_Published(about), read, SECONDS_BETWEEN_SAMPLES, threading.Event()),
        name="gauges",
        daemon=True,
    ).start()


class _Published:
    """The gauges of this process; a value that is told no more becomes 0."""

    def __init__(self, about: Mapping[str, str]) -> None:
        self._about = about
        self._gauges: dict[str, Gauge] = {}
        self._told: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def set(self, samples: Iterable[Sample]) -> None:
        """Takes the place of all values before."""
        values = {(one.name, tuple(sorted(one.tags.items()))): one.value for one in samples}
        for name, tags in self._told - values.keys():
            self._gauge(name, dict(tags)).set(0, dict(tags))
        for (name, tags), value in values.items():
            self._gauge(name, dict(tags)).set(value, dict(tags))
        self._told |= values.keys()

    def _gauge(self, name: str, tags: Mapping[str, str]) -> "Gauge":
        from ray.util.metrics import Gauge

        if name not in self._gauges:
            self._gauges[name] = Gauge(name, self._about[name], tag_keys=tuple(tags))
        return self._gauges[name]


def _publish(gauges: _Published, read: Read, seconds: float, is_over: threading.Event) -> None:
    while True:
        gauges.set(read())
        if is_over.wait(seconds):
            return
