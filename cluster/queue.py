"""The queue of a cluster that several studies share: one small Ray actor that tells each driver how many trials it may run.

Its state is soft. Drivers renew their leases every second; one that falls silent loses its lease, and an actor that is new, as after
the death of the head, knows all of them again after their next renewal.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from cluster.connection import Capacity, capacity
from cluster.shares import Demand, Usage, allocate, share_of

NAME = "study-queue"
NAMESPACE = "study"
RENEWAL_SECONDS = 1.0
LEASE_SECONDS = 30.0
"""A driver that is silent for so long is dead; machines under load are slow."""
HALF_LIFE_SECONDS = 600.0
"""After which what somebody used counts half."""
ANSWER_SECONDS = 30.0


@dataclass
class _Lease:
    demand: Demand
    runs: int
    """Trials that run."""
    renewed: float


class Queue:
    """The leases of all drivers, and what was used lately. Takes and returns plain values, as drivers may run other versions of it."""

    def __init__(self, user_cap: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._user_cap = user_cap
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._by_user: dict[str, float] = {}
        self._by_study: dict[str, float] = {}
        self._counted = clock()

    def renew(self, num_cpus: float, num_gpus: float, demand: dict[str, Any], runs: int) -> int:
        """How many trials the study may have running; `runs` is how many it has."""
        now, have = self._clock(), Capacity(num_cpus=num_cpus, num_gpus=num_gpus)
        self._count(now, have)
        asked = Demand(**demand)
        self._leases[asked.study] = _Lease(asked, runs, now)
        self._leases = {name: lease for name, lease in self._leases.items() if now - lease.renewed <= LEASE_SECONDS}
        usage = Usage(by_user=self._by_user, by_study=self._by_study)
        return allocate(have, [lease.demand for lease in self._leases.values()], user_cap=self._user_cap, usage=usage)[asked.study]

    def leave(self, study: str) -> None:
        """A study that has ended."""
        self._leases.pop(study, None)
        self._by_study.pop(study, None)

    def studies(self) -> dict[str, int]:
        """How many trials run, by study."""
        return {name: lease.runs for name, lease in self._leases.items()}

    def _count(self, now: float, have: Capacity) -> None:
        seconds, self._counted = now - self._counted, now
        kept = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        self._by_user = {user: used * kept for user, used in self._by_user.items() if used > 1e-6}
        self._by_study = {study: used * kept for study, used in self._by_study.items() if study in self._leases}
        for name, lease in self._leases.items():
            used = lease.runs * share_of(have, lease.demand) * seconds
            self._by_user[lease.demand.user] = self._by_user.get(lease.demand.user, 0.0) + used
            self._by_study[name] = self._by_study.get(name, 0.0) + used


class Place:
    """One driver's place in the queue, renewed by a thread of its own. What was granted last holds while the queue does not answer."""

    def __init__(self, demand: Demand, user_cap: float | None) -> None:
        self._demand = asdict(demand)
        self._user_cap = user_cap
        self._runs, self._granted = 0, 0
        self._queue: Any = None
        self._end = threading.Event()

    def slots(self, runs: int, wants: int) -> int:
        """How many trials may run, as the queue said last; `runs` and `wants` are what it is told next."""
        self._runs = runs
        self._demand = {**self._demand, "wants": wants}
        return self._granted

    def renew_until_left(self) -> None:
        """For a thread: renews, until `leave`."""
        while not self._end.wait(RENEWAL_SECONDS):
            self.renew()

    def renew(self) -> None:
        """Asks the queue, which is made where there is none."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        have = capacity()
        try:
            self._queue = self._queue or _queue(self._user_cap)
            asked = self._queue.renew.remote(have.num_cpus, have.num_gpus, self._demand, self._runs)
            self._granted = ray.get(asked, timeout=ANSWER_SECONDS)
        except (GetTimeoutError, RayError, ValueError):
            self._queue = None  # it is looked up, or made, anew with the next renewal

    def leave(self) -> None:
        """Gives the place to the others."""
        self._end.set()
        if self._queue is not None:
            self._queue.leave.remote(self._demand["study"])


@contextmanager
def queued(demand: Demand, user_cap: float | None = None) -> Iterator[Place]:
    """A place in the connected cluster's queue for as long as the block runs. `user_cap` counts where this driver makes the queue."""
    place = Place(demand, user_cap)
    place.renew()
    thread = threading.Thread(target=place.renew_until_left, name="place in the queue", daemon=True)
    thread.start()
    try:
        yield place
    finally:
        place.leave()


def _queue(user_cap: float | None) -> Any:
    """The cluster's queue. It restarts, empty, on another node when its own is lost."""
    import ray

    options = {"name": NAME, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, "num_cpus": 0, "max_restarts": -1}
    return ray.remote(Queue).options(**options).remote(user_cap)
