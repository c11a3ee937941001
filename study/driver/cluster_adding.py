"""Adding a dataset on a cluster: its source is read by all machines, and it may be published at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.execution.part_tasks import PartTasks, check_machines_see
from study.execution.slots import slots_for_reading
from study.home import Home
from study.live.durations import clock
from study.remote.dataset_jobs import AddRequest
from study.safe_console import literal
from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.published import check_can_push, push_added
from trainables.datasets.staging import check_can_be_added
from trainables.errors import DatasetError
from trainables.printable import quoted

SECONDS_BETWEEN_LINES = 10.0

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Added:
    """A dataset that a cluster has added."""

    manifest: Manifest
    address: str | None
    """Where it is published; None where nobody asked for that."""


def add_on_cluster(request: AddRequest, home: Home, say: Say, on_begin: Callable[[], object]) -> Added:
    """Reads the source by all machines of the connected cluster, stores the dataset in `home`, which all of
    them share, and publishes it where that was asked for.

    It is the dataset that `add_dataset` makes on one machine, and what is cut off goes on in the same way.
    `on_begin` is called once all is checked that can be without reading. Raises DatasetError, also where the
    dataset was added but not published, and CutOffError.
    """
    source = None if request.source is None else Path(request.source)
    _check(request, source, home)
    on_begin()
    with slots_for_reading(request.name) as slots:
        tasks = PartTasks(source, slots, say)
        lines = _Lines(say, tasks)
        manifest = add_dataset(home.datasets, request.name, source, request.options, lines, tasks)
    if tasks.num_machines:
        say(f"read by {_machines(tasks.num_machines)}")
    return Added(manifest=manifest, address=_published(request, home, say))


def _check(request: AddRequest, source: Path | None, home: Home) -> None:
    check_can_be_added(home.datasets, request.name, replace=request.options.replace)
    if request.publish is not None:
        check_can_push(request.name, request.publish)
    if source is not None and not source.exists():
        raise DatasetError(
            "--from must be a file or folder that all machines of the cluster see; its head has no "
            f"{quoted(str(source))}; put it into the folder that they share, such as in {home.folder}"
        )
    check_machines_see(source, home.folder)


def _published(request: AddRequest, home: Home, say: Say) -> str | None:
    if request.publish is None:
        return None
    say(f"publishing it at {literal(request.publish)}")
    return push_added(home.datasets, request.name, request.publish)


class _Lines:
    """Tells how far each step of adding is, in a line every ten seconds, for a log."""

    def __init__(self, say: Say, tasks: PartTasks) -> None:
        self._say = say
        self._tasks = tasks
        self._step = ""
        self._begun = self._said = 0.0
        self._num_before = 0

    def __call__(self, step: str, num_done: int, num_total: int | None) -> None:
        now = time.monotonic()
        if step != self._step:
            self._step, self._begun, self._num_before = step, now, num_done
        elif num_done != num_total and now - self._said < SECONDS_BETWEEN_LINES:
            return
        self._said = now
        of = "" if num_total is None else f" of {num_total:,}"
        pace = self._pace(num_done, num_total, now - self._begun)
        self._say(f"{step} {num_done:,}{of} images{self._by()}{pace}")

    def _by(self) -> str:
        num = self._tasks.num_machines
        return f" by {_machines(num)}" if num and self._step == "decoding" else ""

    def _pace(self, num_done: int, num_total: int | None, seconds: float) -> str:
        rate = (num_done - self._num_before) / seconds if seconds else 0.0
        if not rate:
            return ""
        num_left = 0 if num_total is None else num_total - num_done
        left = f", about {clock(num_left / rate)} to go" if num_left else ""
        return f", {rate:,.0f} a second{left}"


def _machines(num: int) -> str:
    return "1 machine" if num == 1 else f"{num} machines"
