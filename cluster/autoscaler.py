"""The autoscaler of the connected cluster: which machines it may start, and which ones it is asked for.

Ray's autoscaler starts machines for tasks that wait. A program that starts no more tasks than fit now never
makes it start one. So the cluster's queue, which knows what all tenants could use, asks for them.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil

from cluster.fair_share import Claim, Demand, Usage, allocate
from cluster.nodes import (
    Node,
    capacity_of,
    head_node,
    kind_resource,
    node_of,
    nodes,
    num_slots,
    of_kind,
)

if TYPE_CHECKING:
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

SETTINGS_SECONDS = 30.0
"""How long what was read of the autoscaler's settings counts."""
ASKING_SECONDS = 1.0
"""How often the queue looks whether it should ask for other machines."""
ANSWER_SECONDS = 60.0
"""How long the head's machine may take to read the settings, with a process that starts for it."""
MOST_SHARE_OF_A_CORE = 0.05
"""Of the queue's process, for finding out what to ask for."""
MONITORS = ("ray/autoscaler/_private/monitor.py", "ray/autoscaler/v2/monitor.py")
"""The programs of the autoscaler's process."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Bundle = Mapping[str, float]
"""What one slot takes, by the names of Ray's resources."""


def startable_nodes() -> tuple[Node, ...]:
    """All machines that the autoscaler may have started at the same time; none where there is no autoscaler.

    For a process on the machine of the cluster's head, which is where the settings are.
    """
    import ray

    settings = _settings(ray.get_runtime_context().gcs_address)
    return () if settings is None else startable_in(settings)


def startable_in(settings: Mapping[str, Any]) -> tuple[Node, ...]:
    """The machines that an autoscaler with these settings, in the form of `ray up`, may start."""
    most: int = settings.get("max_workers", 0)
    return tuple(
        node
        for name, sort in settings["available_node_types"].items()
        if name != settings["head_node_type"]
        for node in [node_of(sort.get("resources", {}), sort.get("labels", {}))]
        * min(sort.get("max_workers", 0), most)
    )


def potential_nodes(present: Sequence[Node], startable: Sequence[Node]) -> tuple[Node, ...]:
    """The machines of the cluster at its largest. Those that are there may be some that were started."""
    return tuple((Counter(present) | Counter(startable)).elements())


def largest_cluster() -> tuple[Node, ...]:
    """The machines of the connected cluster with all that its autoscaler may start; the machine of its head
    is asked.

    Those that are there alone where it does not answer.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(head_node(), soft=False)
    asked = ray.remote(startable_nodes).options(num_cpus=0, scheduling_strategy=there).remote()
    try:
        startable: tuple[Node, ...] = ray.get(asked, timeout=ANSWER_SECONDS)
    except RayError:
        startable = ()
    return potential_nodes(nodes(), startable)


def keep_asking() -> None:
    """Calls the method `ask_for_nodes` of the actor of this process about once a second, from a thread that
    reads the autoscaler's settings for it.

    The call goes through Ray, so the actor's methods still run one after the other.
    """
    import ray

    actor = ray.get_runtime_context().current_actor
    threading.Thread(target=_ask_for_ever, args=(actor,), name="asking for nodes", daemon=True).start()


class NodeRequests:
    """What the autoscaler is asked for, for all tenants together."""

    def __init__(self, request: Callable[[list[dict[str, float]]], None] | None = None) -> None:
        """`request` tells the autoscaler; Ray's own way, unless given. Asks for nothing yet."""
        self._request = request or _request
        self._asked: list[Bundle] | None = None
        self._seen: tuple[object, ...] = ()
        self._next_look = 0.0
        self.potential: tuple[Node, ...] = ()
        """The cluster at its largest, as it was last seen."""

    def ask(
        self,
        claims: Sequence[Claim],
        present: Sequence[Node],
        startable: Sequence[Node],
        usage: Usage,
    ) -> None:
        """Asks for the machines that the tenants could use, or for none where nobody could use any.

        Tells the autoscaler only what it does not know yet. Does nothing where there is no autoscaler.
        """
        seen = (tuple(claims), tuple(present), tuple(startable))
        began = time.monotonic()
        if seen == self._seen or began < self._next_look:
            return
        self.potential = potential_nodes(present, startable)
        wanted = wanted_bundles(claims, self.potential, usage)
        if wanted != self._asked and (startable or self._asked):
            self._request([dict(bundle) for bundle in wanted])
            self._asked = wanted
        self._seen = seen
        self._next_look = time.monotonic() + (time.monotonic() - began) / MOST_SHARE_OF_A_CORE


def wanted_bundles(claims: Iterable[Claim], potential: Sequence[Node], usage: Usage) -> list[Bundle]:
    """One bundle for each slot that a tenant would get of the cluster at its largest, within its user's cap:
    what is idle is lent beyond it, and nothing is started for that.
    """
    fitting = [
        replace(claim, demand=replace(claim.demand, num_slots=could_use(claim.demand, potential)))
        for claim in claims
    ]
    slots = allocate(capacity_of(potential), fitting, usage=usage, lends=False)
    bundles = [bundle_of(one.demand) for one in fitting for _ in range(slots[one.demand.tenant])]
    return sorted(bundles, key=lambda bundle: sorted(bundle.items()))


def could_use(demand: Demand, potential: Sequence[Node]) -> int:
    """Slots that the tenant could use of the cluster at its largest; those that it could use now at least."""
    if demand.most_slots is None or demand.most_slots <= demand.num_slots:
        return demand.num_slots
    machines = of_kind(potential, demand.gpu_kind)
    fitting = num_slots(machines, demand.cpus_per_slot, demand.gpus_per_slot)
    return max(min(demand.most_slots, fitting), demand.num_slots)


def bundle_of(demand: Demand) -> Bundle:
    """What one of the tenant's slots takes."""
    gpus = {"GPU": demand.gpus_per_slot} if demand.gpus_per_slot else {}
    return {"CPU": demand.cpus_per_slot, **gpus, **kind_resource(demand.gpu_kind)}


def _ask_for_ever(actor: Any) -> None:
    import ray
    import ray.autoscaler.sdk
    from ray.exceptions import RayError
    from yaml import YAMLError

    startable: tuple[Node, ...] = ()
    read, said = -SETTINGS_SECONDS, ""
    while True:
        problem = ""
        try:
            if time.monotonic() - read >= SETTINGS_SECONDS:
                read = time.monotonic()
                startable = startable_nodes()
            ray.get(actor.ask_for_nodes.remote(nodes(), startable))
        except (OSError, YAMLError, LookupError) as error:  # the last settings hold
            problem = f"the autoscaler's settings cannot be read: {error}"
        except RayError as error:
            problem = f"the autoscaler cannot be asked: {error}"
        if problem and problem != said:
            logging.getLogger(__name__).warning(problem)
            said = problem
        time.sleep(ASKING_SECONDS)


def _request(bundles: list[dict[str, float]]) -> None:
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=bundles)


def _settings(gcs_address: str) -> dict[str, Any] | None:
    """The autoscaler's settings, as its own process on this machine or its pod's RayCluster has them."""
    if "RAY_CLUSTER_NAME" in os.environ and _SERVICE_ACCOUNT.exists():
        return _settings_of_kubernetes()
    file = settings_file(gcs_address)
    if file is None:
        return None
    import yaml

    settings: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return settings


def _settings_of_kubernetes() -> dict[str, Any]:
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

    namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    make = cast("Callable[[str, str], AutoscalingConfigProducer]", AutoscalingConfigProducer)
    return cast("dict[str, Any]", make(os.environ["RAY_CLUSTER_NAME"], namespace)())


def settings_file(gcs_address: str) -> Path | None:
    """The file that the autoscaler of the cluster at this address was started with, on this machine."""
    port = _port(gcs_address)
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
        if not any(word.endswith(MONITORS) for word in words) or port != _port(
            options.get("--gcs-address", "")
        ):
            continue  # one process of a machine knows the other by another name of the same address
        if "--autoscaling-config" in options:
            return Path(options["--autoscaling-config"]).expanduser()
    return None


def _port(address: str) -> str:
    return address.rpartition(":")[2]
