"""Reading the parts of a source by all machines of a Ray cluster.

These are plain tasks over our own parts. A dataset is the same to the last bit as one that a single machine
reads, because parts are numbered and come back in order; a part is two files in the folder that the machines
share, so a job that was killed goes on with the parts that are there; and every format and every problem
of a source is told as it is on one machine. Ray Data has its own readers and blocks, keeps no order by
itself, and knows nothing of what an earlier execution had done.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.execution.slots import Slots
from trainables.datasets.parts import Part, PartJob, read_part
from trainables.errors import CutOffError, DatasetError
from trainables.printable import quoted

if TYPE_CHECKING:  # Ray takes seconds to import
    from ray import ObjectRef

MAX_RETRIES = 20
"""How often a part is read again because its machine, or its process, was gone."""
POLL_SECONDS = 1.0
CANCEL_SECONDS = 30.0
"""How long parts that are being read may take to end."""
LOOK_SECONDS = 60.0
"""How long a machine may take to say what it sees."""
SECONDS_BETWEEN_REASONS = 30.0
MOST_NAMED = 3

Outcome = tuple[Part, str]
"""A part, and Ray's name for the machine that read it."""


class PartTasks:
    """A runner of parts: one task with one CPU for each, on all machines, as many at once as it has slots.

    This process must be connected to Ray. A part whose machine goes away is read by another one.
    """

    def __init__(self, source: Path | None, slots: Slots, say: Callable[[str], object]) -> None:
        """`source` is looked for by each task; `say` is told why nothing is read."""
        import ray

        self._source = source
        self._slots = slots
        self._say = say
        self._task: Any = ray.remote(num_cpus=1, max_retries=MAX_RETRIES, scheduling_strategy="SPREAD")(
            _read_here
        )
        self._running: set[ObjectRef[Outcome]] = set()
        self._read: dict[ObjectRef[Outcome], Part] = {}
        self._machines: set[str] = set()
        self._last_moved = time.monotonic()

    @property
    def num_machines(self) -> int:
        """Machines that have read a part."""
        return len(self._machines)

    def __call__(self, jobs: Iterator[PartJob]) -> Generator[Part, None, None]:
        """The parts of the jobs, in order.

        Raises what reading a part raises, and CutOffError where Ray gives up on one.
        """
        order: deque[Part | ObjectRef[Outcome]] = deque()
        try:
            for job in jobs:
                order.append(job.done() or self._begun(job))
                yield from self._next(order)
            while order:
                self._wait()
                yield from self._next(order)
        except BaseException:
            self._end()
            raise

    def _begun(self, job: PartJob) -> "ObjectRef[Outcome]":
        while len(self._running) >= self._slots.count_of_present(len(self._running)):
            self._wait()
        task: ObjectRef[Outcome] = self._task.remote(job, self._source)
        self._running.add(task)
        return task

    def _wait(self) -> None:
        """Until a part is read, or a second has passed."""
        import ray

        if not self._running:
            time.sleep(POLL_SECONDS)
        else:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=POLL_SECONDS)
            for task in ready:
                self._running.remove(task)
                self._read[task] = self._part(task)
        if time.monotonic() - self._last_moved > SECONDS_BETWEEN_REASONS:
            self._last_moved = time.monotonic()
            if not self._running:
                self._say(self._slots.why_none())

    def _part(self, task: "ObjectRef[Outcome]") -> Part:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            part, machine = ray.get(task)
        except RayTaskError as error:
            raise error.cause from None  # as if it had been read here
        except RayError as error:
            raise CutOffError(
                f"Ray gave up reading a part ({str(error).splitlines()[0]}); what is read stays, and the "
                "same command goes on with it"
            ) from error
        self._machines.add(machine)
        self._last_moved = time.monotonic()
        return part

    def _next(self, order: "deque[Part | ObjectRef[Outcome]]") -> Iterator[Part]:
        """Takes off what is there of the beginning."""
        while order:
            first = order[0]
            part = first if isinstance(first, Part) else self._read.pop(first, None)
            if part is None:
                return
            order.popleft()
            yield part

    def _end(self) -> None:
        """Nothing writes into the folder of the parts after it, as far as Ray reaches."""
        import ray
        from ray.exceptions import RayError

        with suppress(RayError):
            for task in self._running:
                ray.cancel(task)
            if self._running:
                ray.wait(list(self._running), num_returns=len(self._running), timeout=CANCEL_SECONDS)


def check_machines_see(source: Path | None, home: Path) -> None:
    """Raises DatasetError if a machine of the connected cluster that has CPUs does not see the source, or
    STUDY_HOME, at its path.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    places = [str(place) for place in (home, source) if place is not None]
    listed: Callable[[], list[dict[str, Any]]] = ray.nodes
    look: Any = ray.remote(num_cpus=0, max_retries=0)(_hidden)
    asked = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            places
        ): f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        for node in listed()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    }
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_SECONDS) if asked else ([], [])
    hidden: dict[str, Sequence[str]] = {}
    for answer in ready:
        with suppress(RayError):  # the machine is gone
            hidden[asked[answer]] = ray.get(answer)
    refuse_hidden(hidden, home)


def refuse_hidden(hidden: Mapping[str, Sequence[str]], home: Path) -> None:
    """Raises DatasetError if a machine does not see a path; `hidden` has the paths for each machine that was
    asked.
    """
    blind = [machine for machine, places in hidden.items() if places]
    if not blind:
        return
    place = hidden[blind[0]][0]
    more = f" and {len(blind) - MOST_NAMED} more" if len(blind) > MOST_NAMED else ""
    way_out = (
        "STUDY_HOME must be a folder that all of them share"
        if place == str(home)
        else f"put the source where all of them see it, such as in {home}"
    )
    raise DatasetError(
        f"{quoted(place)} is not there on {len(blind)} of {len(hidden)} machines that would read: "
        f"{', '.join(blind[:MOST_NAMED])}{more}; {way_out}"
    )


def _hidden(places: Sequence[str]) -> list[str]:
    return [place for place in places if not Path(place).exists()]


def _read_here(job: PartJob, source: Path | None) -> Outcome:
    """Reads a part on this machine, unless another one did before it was gone.

    Raises CutOffError where the machine does not see the source or the parts: without it a machine that came
    later would say of each image that it cannot be read, or write where nobody finds it.
    """
    places = [str(place) for place in (job.folder, source) if place is not None]
    if hidden := _hidden(places):
        raise CutOffError(
            f"{quoted(hidden[0])} is not there on the machine {socket.gethostname()}, which reads; what is "
            "read stays: let the machine share the folder, and the same command goes on"
        )
    import ray

    return job.done() or read_part(job), str(ray.get_runtime_context().get_node_id())
