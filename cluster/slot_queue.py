"""The queue of a shared cluster: one small Ray actor that tells each tenant how many slots it may hold.

Its state is soft. Tenants renew their leases every second. A tenant that falls silent loses its lease. An
actor that is new, as after the death of the head, knows all tenants again after their next renewal.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from cluster.fair_share import Demand, Usage, allocate, dominant_share
from cluster.nodes import Capacity, capacity

if TYPE_CHECKING:
    from ray.actor import ActorHandle

NAME = "slot-queue"
NAMESPACE = "cluster"
RENEWAL_SECONDS = 1.0
LEASE_SECONDS = 30.0
"""A tenant that is silent for longer is dead; machines under load are slow."""
HALF_LIFE_SECONDS = 600.0
"""After this time, what somebody used counts half."""
ANSWER_SECONDS = 30.0
"""How long a renewal waits for the queue."""
_FORGOTTEN = 1e-6
"""Usage below this, in shares of the cluster times seconds, is dropped."""


@contextmanager
def slot_lease(demand: Demand, user_cap: float | None = None) -> "Iterator[SlotLease]":
    """A lease on slots of the connected cluster while the block runs, renewed by a thread of its own.

    `user_cap` is the largest share of the cluster for one user, in (0, 1]; it counts where this tenant starts
    the queue.
    """
    lease = SlotLease(demand, user_cap)
    lease.renew()
    thread = threading.Thread(target=lease.renew_until_released, name="slot lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.release()


class SlotLease:
    """One tenant's lease in the queue. While the queue does not answer, its last answer holds.

    One thread calls `slots` and `release`, another one renews.
    """

    def __init__(self, demand: Demand, user_cap: float | None) -> None:
        """Asks for nothing yet: `renew` does."""
        self._demand = demand
        self._user_cap = user_cap
        self._num_running = 0
        self._num_granted = 0
        self._queue: Any = None  # a handle of Ray's, which gives its methods no types
        self._is_released = threading.Event()
        self._order = threading.Lock()
        """Held while a request is sent, so that no renewal follows the release."""

    def slots(self, num_running: int, num_wanted: int) -> int:
        """Slots that the tenant may hold, by the queue's last answer.

        `num_running` is how many slots it holds now, `num_wanted` how many it could use. The next renewal
        tells both to the queue.
        """
        self._num_running = num_running
        self._demand = replace(self._demand, num_slots=num_wanted)
        return self._num_granted

    def renew_until_released(self) -> None:
        """Renews every second until `release`; for a thread of its own."""
        while not self._is_released.wait(RENEWAL_SECONDS):
            self.renew()

    def renew(self) -> None:
        """Asks the queue once, and starts it where there is none; no answer is no error.

        Asks nothing after `release`.
        """
        import ray
        from ray.exceptions import RayError

        try:
            have = capacity()
            queue = self._queue or _connected_queue(self._user_cap)
            with self._order:
                if self._is_released.is_set():
                    return
                self._queue = queue
                demand, num_running = asdict(self._demand), self._num_running
                answer = queue.renew.remote(have.num_cpus, have.num_gpus, demand, num_running)
            self._num_granted = ray.get(answer, timeout=ANSWER_SECONDS)
        except (RayError, ValueError):
            self._queue = None  # the next renewal looks the queue up, or starts it, anew

    def release(self) -> None:
        """Leaves the slots to the other tenants."""
        with self._order:
            self._is_released.set()
            if self._queue is not None:
                self._queue.leave.remote(self._demand.tenant)


@dataclass(frozen=True, kw_only=True)
class _Tenant:
    """A tenant as it was at its last renewal."""

    demand: Demand
    num_running: int
    renewed: float
    """By the queue's clock, in seconds."""


class SlotQueue:
    """The leases of all tenants, and what was used lately.

    Ray calls it in one thread. Methods take and return plain values, as tenants may run other versions of
    this code.
    """

    def __init__(self, user_cap: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins without tenants. `user_cap` is in (0, 1]; `clock` tells seconds."""
        self._user_cap = user_cap
        self._clock = clock
        self._tenants: dict[str, _Tenant] = {}
        self._used_by_user: dict[str, float] = {}
        self._used_by_tenant: dict[str, float] = {}
        self._counted = clock()

    def renew(self, num_cpus: float, num_gpus: float, demand: Mapping[str, Any], num_running: int) -> int:
        """Renews a tenant's lease and returns how many slots it may hold.

        `num_cpus` and `num_gpus` are what the cluster has, `demand` the fields of a Demand, `num_running` the
        slots that the tenant holds now.
        """
        now, have = self._clock(), Capacity(num_cpus=num_cpus, num_gpus=num_gpus)
        self._count_usage(now, have)
        asked = Demand(**demand)
        self._tenants[asked.tenant] = _Tenant(demand=asked, num_running=num_running, renewed=now)
        self._drop_silent(now)
        usage = Usage(by_user=self._used_by_user, by_tenant=self._used_by_tenant)
        demands = [tenant.demand for tenant in self._tenants.values()]
        return allocate(have, demands, user_cap=self._user_cap, usage=usage)[asked.tenant]

    def leave(self, tenant: str) -> None:
        """Ends a tenant's lease; a name that the queue does not know is no error."""
        self._tenants.pop(tenant, None)
        self._used_by_tenant.pop(tenant, None)

    def running(self) -> dict[str, int]:
        """Slots that are held, by tenant."""
        return {name: tenant.num_running for name, tenant in self._tenants.items()}

    def _drop_silent(self, now: float) -> None:
        silent = [name for name, tenant in self._tenants.items() if now - tenant.renewed > LEASE_SECONDS]
        for name in silent:
            del self._tenants[name]

    def _count_usage(self, now: float, have: Capacity) -> None:
        seconds, self._counted = now - self._counted, now
        kept = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        by_user, by_tenant = self._used_by_user.items(), self._used_by_tenant.items()
        self._used_by_user = {user: used * kept for user, used in by_user if used > _FORGOTTEN}
        self._used_by_tenant = {name: used * kept for name, used in by_tenant if name in self._tenants}
        for name, tenant in self._tenants.items():
            used = tenant.num_running * dominant_share(have, tenant.demand) * seconds
            self._used_by_user[tenant.demand.user] = self._used_by_user.get(tenant.demand.user, 0.0) + used
            self._used_by_tenant[name] = self._used_by_tenant.get(name, 0.0) + used


def _connected_queue(user_cap: float | None) -> "ActorHandle[SlotQueue]":
    """The cluster's queue, started where there is none.

    When its node is lost, Ray restarts it, empty, on another.
    """
    import ray

    actor = ray.remote(SlotQueue).options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
    )
    return cast("ActorHandle[SlotQueue]", actor.remote(user_cap))
