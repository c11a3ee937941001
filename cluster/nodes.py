"""The machines of the connected cluster, and how many slots they hold.

A slot lies on one machine. A slot with a share of a GPU lies on one GPU.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KIND_RESOURCE = "accelerator_type:"
"""What Ray's resources call a kind of GPU: `accelerator_type:H100`."""
_KIND_SHARE = 0.001
"""What Ray takes of a kind's resource for a task that names the kind: it never runs out."""
_HEAD_RESOURCE = "node:__internal_head__"
_KIND_LABEL = "ray.io/accelerator-type"
_TOLERANCE = 1e-6
"""Shares of a GPU that were rounded add up to a little more or less than one."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """CPUs and GPUs of a whole cluster."""

    num_cpus: float
    num_gpus: float
    gpus_by_kind: Mapping[str, float] = field(default_factory=dict)
    """GPUs of each kind that Ray knows."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine, with the CPUs and GPUs that Ray may give away there."""

    num_cpus: float
    num_gpus: float
    gpu_kind: str | None
    """As Ray calls it, such as H100; None without GPUs, or where Ray was only told that there are some."""

    def num_slots(self, cpus: float, gpus: float) -> int:
        """Slots of `cpus` CPUs and `gpus` GPUs, or a share of one GPU, that fit on the empty machine."""
        by_cpus = int(self.num_cpus / cpus + _TOLERANCE)
        if gpus >= 1:
            return min(by_cpus, int(self.num_gpus / gpus + _TOLERANCE))
        # What is left of one GPU and what is left of another do not make room for a slot.
        return min(by_cpus, int(self.num_gpus) * int(1 / gpus + _TOLERANCE)) if gpus else by_cpus


def nodes() -> tuple[Node, ...]:
    """The machines that the connected cluster has now, without those that Ray drains.

    This process must be connected to Ray.
    """
    import ray

    listed: Callable[[], list[dict[str, Any]]] = ray.nodes
    alive = [node for node in listed() if node["Alive"]]
    drained = draining_nodes() if len(alive) > 1 else frozenset()
    return tuple(
        node_of(node["Resources"], node["Labels"]) for node in alive if node["NodeID"] not in drained
    )


def head_node() -> str:
    """Ray's name for the machine of the connected cluster's head. This process must be connected to Ray."""
    import ray

    listed: Callable[[], list[dict[str, Any]]] = ray.nodes
    return next(
        (node["NodeID"] for node in listed() if node["Alive"] and _HEAD_RESOURCE in node["Resources"]),
        str(ray.get_runtime_context().get_node_id()),
    )


def draining_nodes() -> frozenset[str]:
    """The names of the machines that go away soon, on which Ray starts nothing any more.

    This process must be connected to Ray.
    """
    from ray._private.state import state

    listed: Callable[[], dict[str, int]] = state.get_draining_nodes
    return frozenset(listed())


def this_node_drains() -> bool:
    """Whether the machine of this process, which must be connected to Ray, goes away soon."""
    import ray

    return ray.get_runtime_context().get_node_id() in draining_nodes()


def node_of(resources: Mapping[str, float], labels: Mapping[str, str]) -> Node:
    """The machine that Ray describes by these resources and labels."""
    num_gpus = resources.get("GPU", 0.0)
    kinds = sorted(name.removeprefix(KIND_RESOURCE) for name in resources if name.startswith(KIND_RESOURCE))
    kind = kinds[0] if kinds else labels.get(_KIND_LABEL)
    return Node(
        num_cpus=resources.get("CPU", 0.0),
        num_gpus=num_gpus,
        gpu_kind=kind if num_gpus else None,
    )


def capacity() -> Capacity:
    """What all machines of the connected cluster have now. This process must be connected to Ray."""
    return capacity_of(nodes())


def capacity_of(nodes: Sequence[Node]) -> Capacity:
    """What the machines have together."""
    gpus_by_kind: dict[str, float] = defaultdict(float)
    for node in nodes:
        if node.gpu_kind is not None:
            gpus_by_kind[node.gpu_kind] += node.num_gpus
    return Capacity(
        num_cpus=sum(node.num_cpus for node in nodes),
        num_gpus=sum(node.num_gpus for node in nodes),
        gpus_by_kind=dict(gpus_by_kind),
    )


def of_kind(nodes: Iterable[Node], gpu_kind: str | None) -> tuple[Node, ...]:
    """The machines whose GPUs are of a kind; all of them where it is None."""
    return tuple(node for node in nodes if gpu_kind is None or node.gpu_kind == gpu_kind)


def kind_resource(gpu_kind: str | None) -> dict[str, float]:
    """What a task asks of Ray beside GPUs so that they are of a kind; nothing where any will do."""
    return {} if gpu_kind is None else {f"{KIND_RESOURCE}{gpu_kind}": _KIND_SHARE}


def num_slots(nodes: Iterable[Node], cpus: float, gpus: float) -> int:
    """Slots of `cpus` CPUs and `gpus` GPUs each that fit on all of the empty machines at once."""
    return sum(node.num_slots(cpus, gpus) for node in nodes)
