"""The queue of a shared cluster: one small Ray actor that tells each tenant how many slots it may hold.

Its state is soft. Tenants renew their leases every second. A tenant that falls silent loses its lease. An
actor that is new, as after the death of the head, knows all tenants again after their next renewal.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cluster.ageing import Wait
from cluster.autoscaler import NodeRequests, could_use, keep_asking
from cluster.claims import Tenant, weighed_claims
from cluster.fair_share import Claim, Demand, Rank, Usage, allocate, dominant_share
from cluster.gauges import publish_from_actor
from cluster.gpu_hours import GpuHours
from cluster.nodes import Capacity, Node, capacity, head_node
from cluster.queue_policy import PolicyFile, QueuePolicy
from cluster.slot_gauges import ABOUT, Share, SlotGauges
from cluster.slot_pauses import Pause, pauses

if TYPE_CHECKING:
    from ray.actor import ActorHandle

NAME = "slot-queue"
NAMESPACE = "cluster"
RENEWAL_SECONDS = 1.0
ALLOCATION_SECONDS = 1.0
"""How often slots are divided anew, for all tenants at once: a thousand of them would keep a core busy."""
RENEWALS_A_SECOND = 200
"""Of all tenants together; where there are more of them, each comes more seldom."""
LEASE_SECONDS = 30.0
"""A tenant that is silent for longer is dead; machines under load are slow."""
HALF_LIFE_SECONDS = 600.0
"""After this time, what somebody used counts half."""
ANSWER_SECONDS = 30.0
"""How long a renewal waits for the queue."""
_FORGOTTEN = 1e-6
"""Usage below this, in shares of the cluster times seconds, is dropped."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One tenant of the queue, beside the others."""

    tenant: str
    user: str
    priority: int
    """Its own, or the highest that the policy allows."""
    first_priority: int
    """Of its first slot: higher than its own where it has waited for long."""
    num_running: int
    """Slots that it holds."""
    num_granted: int
    """Slots that it may hold."""
    num_wanted: int
    """Slots that it could use of the cluster at its largest."""
    place: int | None
    """From 1, among the tenants that wait for their first slot; None for one that holds some."""
    awaits_node: bool
    """Whether no machine that is there can hold a slot of its size."""
    pauses_for: tuple[str, ...]
    """The tenants for which it gives back slots."""
    gpu_hours: float
    """GPU hours that its user had in this month, with all tenants."""
    gpu_hours_allowed: float | None
    """GPU hours that its user may have in a month, before all their tenants come behind all others."""

    @property
    def is_over_budget(self) -> bool:
        """Whether its user has used up the GPU hours of this month."""
        return self.gpu_hours_allowed is not None and self.gpu_hours >= self.gpu_hours_allowed


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The queue's answer to a renewal."""

    num_slots: int = 0
    """Slots that the tenant may hold."""
    num_kept: int | None = None
    """Slots that it keeps of those that it holds; None where it gives none back."""
    in_favour_of: tuple[str, ...] = ()
    """Who gets the others, each in words."""
    warning: str = ""
    """What the tenant's owner should know; empty for nothing."""
    seconds: float = RENEWAL_SECONDS
    """After which it renews again."""


def standings() -> tuple[Standing, ...]:
    """All tenants of the connected cluster's queue, in the order of service; empty where there is none."""
    import ray
    from ray.exceptions import RayError

    try:
        queue = ray.get_actor(NAME, namespace=NAMESPACE)
        answer: list[dict[str, Any]] = ray.get(queue.standings.remote(), timeout=ANSWER_SECONDS)
    except (RayError, ValueError):
        return ()
    return tuple(Standing(**one | {"pauses_for": tuple(one["pauses_for"])}) for one in answer)


def policy_problems() -> tuple[str, ...]:
    """What the connected cluster's queue does not follow of the operator's policy, and why."""
    import ray
    from ray.exceptions import RayError

    try:
        queue = ray.get_actor(NAME, namespace=NAMESPACE)
        answer: list[str] = ray.get(queue.policy_problems.remote(), timeout=ANSWER_SECONDS)
    except (RayError, ValueError):
        return ()
    return tuple(answer)


def tell_end(state: str) -> None:
    """Tells the connected cluster's queue how a tenant ended, which it counts; no queue is no error."""
    import ray
    from ray.exceptions import RayError

    try:
        ray.get_actor(NAME, namespace=NAMESPACE).note_end.remote(state)
    except (RayError, ValueError):
        return


def num_waiting(all_tenants: Sequence[Standing]) -> int:
    """How many tenants wait for their first slot."""
    return sum(one.place is not None for one in all_tenants)


@contextmanager
def slot_lease(
    demand: Demand, user_cap: float | None = None, policy_file: Path | None = None
) -> "Iterator[SlotLease]":
    """A lease on slots of the connected cluster while the block runs, renewed by a thread of its own.

    `user_cap` is the largest share of the cluster, in (0, 1], for a user of whom the operator's policy in
    `policy_file` says nothing. Both count where this tenant starts the queue.
    """
    lease = SlotLease(demand, user_cap, policy_file)
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

    def __init__(self, demand: Demand, user_cap: float | None, policy_file: Path | None = None) -> None:
        """Asks for nothing yet: `renew` does."""
        self._demand = demand
        self._user_cap = user_cap
        self._policy_file = policy_file
        self._num_running = 0
        self._grant = Grant()
        self._queue: Any = None  # a handle of Ray's, which gives its methods no types
        self._is_released = threading.Event()
        self._order = threading.Lock()
        """Held while a request is sent, so that no renewal follows the release."""

    @property
    def tenant(self) -> str:
        """Whose lease it is."""
        return self._demand.tenant

    @property
    def grant(self) -> Grant:
        """The queue's last answer."""
        return self._grant

    def set_priority(self, priority: int, chosen_by: str) -> None:
        """Asks with another priority from the next renewal on."""
        self._demand = replace(self._demand, priority=priority, priority_from=chosen_by)

    def slots(self, num_running: int, num_wanted: int, most: int | None = None) -> int:
        """Slots that the tenant may hold, by the queue's last answer.

        `num_running` is how many slots it holds now, `num_wanted` how many it could use now, `most` how many
        if the cluster had more machines. The next renewal tells all to the queue.
        """
        self._num_running = num_running
        self._demand = replace(self._demand, num_slots=num_wanted, most_slots=most)
        return self._grant.num_slots

    def renew_until_released(self) -> None:
        """Renews as often as the queue says, until `release`; for a thread of its own."""
        while not self._is_released.wait(self._grant.seconds):
            self.renew()

    def renew(self) -> None:
        """Asks the queue once, and starts it where there is none; no answer is no error.

        Asks nothing after `release`.
        """
        import ray
        from ray.exceptions import RayError

        try:
            have = capacity()
            queue = self._queue or _connected_queue(self._user_cap, self._policy_file)
            with self._order:
                if self._is_released.is_set():
                    return
                self._queue = queue
                demand, num_running = asdict(self._demand), self._num_running
                answer = queue.renew.remote(
                    have.num_cpus, have.num_gpus, demand, num_running, dict(have.gpus_by_kind)
                )
            self._grant = Grant(**ray.get(answer, timeout=ANSWER_SECONDS))
        except (RayError, ValueError):
            self._queue = None  # the next renewal looks the queue up, or starts it, anew

    def release(self) -> None:
        """Leaves the slots to the other tenants."""
        with self._order:
            self._is_released.set()
            if self._queue is not None:
                self._queue.leave.remote(self._demand.tenant)


class SlotQueue:
    """The leases of all tenants, how long they wait, and what was used lately.

    Ray calls it in one thread. Methods take and return plain values, as tenants may run other versions of
    this code.
    """

    def __init__(
        self,
        user_cap: float | None = None,
        policy_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
        *,
        asks_for_nodes: bool = False,
    ) -> None:
        """Begins without tenants.

        `user_cap` is in (0, 1]; `clock` tells seconds, `calendar` seconds since 1970.

        An actor that `asks_for_nodes` calls its own method of that name about once a second.
        """
        self._user_cap = user_cap
        self._policy_file = PolicyFile(policy_file)
        self._policy = QueuePolicy()
        self._gpu_hours = GpuHours(calendar)
        self._clock = clock
        self._tenants: dict[str, Tenant] = {}
        self._used_by_user: dict[str, float] = {}
        self._used_by_tenant: dict[str, float] = {}
        self._allocated = clock()
        self._claims: dict[str, Claim] = {}
        self._slots: dict[str, int] = {}
        self._pauses: dict[str, Pause] = {}
        self._has_other_tenants = False
        """Whether somebody came or left since slots were divided."""
        self._node_requests = NodeRequests()
        if asks_for_nodes:
            keep_asking()
        self._num_ended: Counter[str] = Counter()
        publish_from_actor(SlotGauges(self._shares, self._num_ended).read, ABOUT)

    def renew(
        self,
        num_cpus: float,
        num_gpus: float,
        demand: Mapping[str, Any],
        num_running: int,
        gpus_by_kind: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Renews a tenant's lease; returns the fields of a Grant.

        `num_cpus`, `num_gpus` and `gpus_by_kind` are what the cluster has, `demand` the fields of a Demand,
        `num_running` the slots that the tenant holds now.
        """
        now, asked = self._clock(), Demand(**demand)
        before = self._tenants.get(asked.tenant)
        self._has_other_tenants |= before is None
        wait = Wait() if before is None else before.wait
        self._tenants[asked.tenant] = Tenant(demand=asked, num_running=num_running, renewed=now, wait=wait)
        if self._is_due(now):
            have = Capacity(num_cpus=num_cpus, num_gpus=num_gpus, gpus_by_kind=gpus_by_kind or {})
            self._allocate(now, have)
        pause = self._pauses.get(asked.tenant)
        return {
            "num_slots": self._slots.get(asked.tenant, 0),
            "num_kept": None if pause is None else pause.num_kept,
            "in_favour_of": () if pause is None else tuple(map(self._in_words, pause.in_favour_of)),
            "warning": self._warning(asked),
            "seconds": max(RENEWAL_SECONDS, len(self._tenants) / RENEWALS_A_SECOND),
        }

    def leave(self, tenant: str) -> None:
        """Ends a tenant's lease; a name that the queue does not know is no error."""
        self._tenants.pop(tenant, None)
        self._used_by_tenant.pop(tenant, None)
        self._has_other_tenants = True

    def ask_for_nodes(self, present: tuple[Node, ...], startable: tuple[Node, ...]) -> None:
        """Asks the autoscaler for what the tenants could use of the machines that are there and those that it
        may start.

        Tenants that fell silent count no more.
        """
        self._drop_silent(self._clock())
        claims = [claim for name, claim in self._claims.items() if name in self._tenants]
        usage = Usage(by_user=self._used_by_user, by_tenant=self._used_by_tenant)
        self._node_requests.ask(claims, present, startable, usage)

    def note_end(self, state: str) -> None:
        """Counts a tenant that ended, such as `finished` or `failed`."""
        self._num_ended[state] += 1

    def standings(self) -> list[dict[str, Any]]:
        """The fields of a Standing for each tenant, in the order of service."""
        ranked = sorted(self._claims.keys() & self._tenants.keys(), key=self._rank)
        waiting = [name for name in ranked if self._tenants[name].num_running == 0]
        places = {name: place for place, name in enumerate(waiting, start=1)}
        return [asdict(self._standing(name, places.get(name))) for name in ranked]

    def policy_problems(self) -> list[str]:
        """What is not followed of the operator's policy, and why."""
        return [one for one in (self._policy_file.problem, self._gpu_hours.problem) if one is not None]

    def _standing(self, name: str, place: int | None) -> Standing:
        tenant, claim, pause = self._tenants[name], self._claims[name], self._pauses.get(name)
        user = claim.demand.user
        return Standing(
            tenant=name,
            user=user,
            priority=claim.demand.priority,
            first_priority=claim.first_priority,
            num_running=tenant.num_running,
            num_granted=self._slots[name],
            num_wanted=could_use(tenant.demand, self._node_requests.potential),
            place=place,
            awaits_node=tenant.demand.num_slots == 0,
            pauses_for=() if pause is None else pause.in_favour_of,
            gpu_hours=self._gpu_hours.this_month(user),
            gpu_hours_allowed=self._policy.of(user).gpu_hours_per_month,
        )

    def _rank(self, name: str) -> tuple[Rank, float, float, str]:
        """In the order of service, and of equals: whose user used less, then who used less."""
        claim = self._claims[name]
        used = self._used_by_user.get(claim.demand.user, 0.0), self._used_by_tenant.get(name, 0.0)
        return claim.rank(self._tenants[name].num_running), *used, name

    def _warning(self, demand: Demand) -> str:
        claim = self._claims.get(demand.tenant)
        if claim is None or not claim.is_last:
            return ""
        allowed = self._policy.of(demand.user).gpu_hours_per_month
        return (
            f"{demand.user} has used up the {allowed:g} GPU hours of this month: until the next one, this "
            "study comes behind all others"
        )

    def _in_words(self, name: str) -> str:
        claim = self._claims[name]
        risen = f", risen to {claim.first_priority}" if claim.first_priority > claim.demand.priority else ""
        return f"{name} ({claim.demand.user}, priority {claim.demand.priority}{risen})"

    def _shares(self) -> list[Share]:
        """The tenants that are not silent; the thread of the gauges calls it."""
        now = self._clock()
        return [
            Share(
                tenant=name,
                user=one.demand.user,
                num_running=one.num_running,
                num_granted=self._slots.get(name, 0),
                num_wanted=one.demand.num_slots,
            )
            for name, one in list(self._tenants.items())
            if now - one.renewed <= LEASE_SECONDS
        ]

    def _is_due(self, now: float) -> bool:
        """Whether slots are to be divided anew: after a while; among few tenants once one came or left."""
        if now - self._allocated >= ALLOCATION_SECONDS:
            return True
        return self._has_other_tenants and len(self._tenants) < RENEWALS_A_SECOND / 10

    def _allocate(self, now: float, have: Capacity) -> None:
        self._policy = self._policy_file.current()
        self._pass_time(now, have)
        self._drop_silent(now)
        self._claims = weighed_claims(
            self._tenants, self._policy, user_cap=self._user_cap, gpu_hours=self._gpu_hours.this_month
        )
        usage = Usage(by_user=self._used_by_user, by_tenant=self._used_by_tenant)
        self._slots = allocate(have, self._claims.values(), usage=usage)
        self._pauses = pauses(have, self._claims.values(), self._slots)
        self._has_other_tenants = False

    def _drop_silent(self, now: float) -> None:
        silent = [name for name, tenant in self._tenants.items() if now - tenant.renewed > LEASE_SECONDS]
        for name in silent:
            del self._tenants[name]

    def _pass_time(self, now: float, have: Capacity) -> None:
        """Counts what was used, and who waited, since slots were last divided."""
        began, self._allocated = self._allocated, now
        kept = 0.5 ** ((now - began) / HALF_LIFE_SECONDS)
        by_user, by_tenant = self._used_by_user.items(), self._used_by_tenant.items()
        self._used_by_user = {user: used * kept for user, used in by_user if used > _FORGOTTEN}
        self._used_by_tenant = {name: used * kept for name, used in by_tenant if name in self._tenants}
        gpu_seconds: dict[str, float] = {}
        for name, tenant in self._tenants.items():
            # Who fell silent may have died: no lease, no use.
            seconds = max(min(now, tenant.renewed + LEASE_SECONDS) - began, 0.0)
            demand, slot_seconds = tenant.demand, tenant.num_running * seconds
            used = slot_seconds * dominant_share(have, demand)
            self._used_by_user[demand.user] = self._used_by_user.get(demand.user, 0.0) + used
            self._used_by_tenant[name] = self._used_by_tenant.get(name, 0.0) + used
            gpu_seconds[demand.user] = gpu_seconds.get(demand.user, 0.0) + slot_seconds * demand.gpus_per_slot
            wait = tenant.wait.after(seconds, holds_slot=tenant.num_running > 0)
            self._tenants[name] = replace(tenant, wait=wait)
        file = self._policy.gpu_hours_file
        self._gpu_hours.keep_in(None if file is None else Path(file))
        self._gpu_hours.count(gpu_seconds)


def _connected_queue(user_cap: float | None, policy_file: Path | None) -> "ActorHandle[SlotQueue]":
    """The cluster's queue, started where there is none, on the machine of the cluster's head.

    The autoscaler's settings are there, and a machine that an actor is on never counts as idle.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(SlotQueue).options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        # An actor without a CPU comes to any machine, unless it must be on one (Ray 2.60).
        scheduling_strategy=NodeAffinitySchedulingStrategy(head_node(), soft=False),
    )
    return cast("ActorHandle[SlotQueue]", actor.remote(user_cap, policy_file, asks_for_nodes=True))
