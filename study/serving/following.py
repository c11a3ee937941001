"""The version that a name means now, looked up every so often: a promotion takes effect without a restart."""

import math
import threading
import time
from collections.abc import Callable, Mapping

from study.connections.model_registry import registry_of
from study.home import Home
from study.registry.versions import Version, find_version, model_of
from study.serving.loaded_version import LoadedVersion, load_version

LOOK_SECONDS = 1.5
"""Between two looks, each of which is one question to MLflow; a load takes a second or two beyond it."""
RETRY_SECONDS = 30.0
"""Until a version that cannot be loaded is tried again."""


class Following:
    """A thread that hands on each version that `wanted` comes to mean, loaded and warm.

    Where MLflow does not answer, or a version cannot be loaded, the present one stays and `problem` says why.
    """

    def __init__(
        self,
        home: Home,
        wanted: str,
        first: LoadedVersion,
        take: Callable[[LoadedVersion], None],
        *,
        images_per_batch: int,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._home = home
        self._wanted = wanted
        self._present = first
        self._take = take
        self._images_per_batch = images_per_batch
        self._look_seconds = look_seconds
        self._seen: Mapping[str, object] | None = None
        self._retry_at = math.inf
        self._unreached: str | None = None
        self._unloaded: str | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why the present version may not be the one that is meant, in a sentence; None while all is well."""
        reason = self._unreached or self._unloaded
        return None if reason is None else f"{self._present.version.name} goes on answering: {reason}"

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, which may be in the middle of a look."""
        self._is_over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._is_over.wait(self._look_seconds):
            try:
                found = self._changed()
            except Exception as error:  # noqa: BLE001  the present version goes on answering, whatever it is
                self._unreached = _text(error)
                continue
            self._unreached = None
            if found is not None:
                self._change_to(found)

    def _changed(self) -> Version | None:
        """What `wanted` means, where an alias has moved since the last look; None where none has."""
        with registry_of(self._home) as client:
            seen = dict(client.get_registered_model(model_of(self._wanted)).aliases)
            if seen == self._seen and time.monotonic() < self._retry_at:
                return None
            found = find_version(client, self._wanted)
        self._seen = seen
        return found

    def _change_to(self, found: Version) -> None:
        self._retry_at, self._unloaded = math.inf, None
        present = self._present.version
        if (found.number, found.source) == (present.number, present.source):
            return
        try:
            loaded = load_version(self._home, found.name, images_per_batch=self._images_per_batch)
        except Exception as error:  # noqa: BLE001  the same
            self._retry_at, self._unloaded = time.monotonic() + RETRY_SECONDS, _text(error)
        else:
            self._present = loaded
            self._take(loaded)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
