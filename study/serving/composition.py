"""A server put together: what it serves, what it takes on, and what stands beside it."""

import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

from study.errors import SpecError
from study.home import Home
from study.registry.versions import PREFIX
from study.serving.application import application
from study.serving.bounds import Bounds
from study.serving.card import Cards
from study.serving.faces import FaceFinder
from study.serving.following import LOOK_SECONDS, Following
from study.serving.loaded_version import LoadedVersion, load_version
from study.serving.model_at_work import ServedModel
from study.serving.page_routes import page_router
from study.serving.recording import Recording
from study.serving.serving_metrics import ServingMetrics
from study.serving.shadow import Shadow, check_comparable
from trainables.devices.threads import use_threads

SWITCH_SECONDS = 0.0005
"""A tenth of Python's own."""
MOST_READERS = 4
"""Threads that decode pictures; Pillow works without Python's lock for most of it."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What a person asks for."""

    home: Path
    model: str
    """NAME, NAME/VERSION or NAME@ALIAS."""
    bounds: Bounds = field(default_factory=Bounds)
    num_threads: int | None = None
    """Of torch; None for one fewer than there are cores, which the requests themselves need."""
    token: str | None = field(default=None, repr=False)
    shadow: str | None = None
    shadow_log: Path | None = None
    finds_faces: bool = False
    """Whether `find=face` is understood, which needs OpenCV."""
    record: Path | None = None
    """Folder for a sample of pictures and predictions."""
    look_seconds: float = LOOK_SECONDS
    """Between two looks at which version the name means."""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A server that is ready to start."""

    serving: Serving
    app: FastAPI
    server: ServedModel
    shadow: Shadow | None


def compose(serving: Serving, num_cores: int) -> Composed:
    """The application, with the version loaded and warm.

    Raises what `study.registry.predictions.opened` raises, and SpecError for a shadow that does not compare,
    a folder that cannot be recorded into, and faces without OpenCV.
    """
    check_serving(serving)
    home, metrics = Home(serving.home), ServingMetrics()
    size = serving.bounds.images_per_batch
    finder = FaceFinder() if serving.finds_faces else None
    with ExitStack() as undone:
        recording = (
            None if serving.record is None else undone.enter_context(closing(Recording(serving.record)))
        )
        first = load_version(home, serving.model, images_per_batch=size)
        readers = min(max(num_cores - 1, 1), MOST_READERS)
        server = ServedModel(first, serving.bounds, metrics, num_readers=readers)
        if not is_one_version(serving.model):
            server.follow(_following(serving, serving.model, first, server.take, size))
        shadow = None if serving.shadow is None else _shadow(serving, home, first, metrics, server)
        if recording is not None:
            server.add(recording, recording.note_answer)
        undone.pop_all()  # from now on the server closes it
    app = application(
        server,
        serving.bounds,
        token=serving.token,
        faces=finder,
        card=Cards(home, recording, finds_faces=finder is not None),
        page=page_router(),
    )
    return Composed(serving=serving, app=app, server=server, shadow=shadow)


def use_own_threads(serving: Serving, num_cores: int) -> None:
    """Sets the threads with which the networks of this process compute, and how soon threads that wait for
    Python's lock have it: the network asks for it after each of its operations.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    use_threads(serving.num_threads or max(num_cores - 1, 1))


def check_serving(serving: Serving) -> None:
    """Raises SpecError for a log without a shadow, and for faces without OpenCV."""
    if serving.finds_faces:
        FaceFinder()
    if serving.shadow_log is not None and serving.shadow is None:
        raise SpecError("--shadow-log needs --shadow, the version whose differences it lists")


def is_one_version(wanted: str) -> bool:
    """Whether a name means the same version for ever: NAME/3."""
    return "/" in wanted.removeprefix(PREFIX)


def _shadow(
    serving: Serving, home: Home, first: LoadedVersion, metrics: ServingMetrics, server: ServedModel
) -> Shadow:
    assert serving.shadow is not None
    candidate = load_version(home, serving.shadow, images_per_batch=1)
    check_comparable(first, candidate)
    shadow = Shadow(candidate, serving.bounds, metrics, serving.shadow_log)
    server.add(shadow, shadow.note)
    if not is_one_version(serving.shadow):
        server.add(_following(serving, serving.shadow, candidate, shadow.take, 1))
    return shadow


def _following(
    serving: Serving, wanted: str, first: LoadedVersion, take: Callable[[LoadedVersion], None], size: int
) -> Following:
    return Following(
        Home(serving.home), wanted, first, take, images_per_batch=size, look_seconds=serving.look_seconds
    )
