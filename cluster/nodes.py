"""The machines of the connected cluster, and how many slots they hold.

A slot lies on one machine. A slot with a share of a GPU lies on one GPU.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_KIND = "accelerator_type:"
"""What Ray's resources call a kind of GPU: `accelerator_type:H100`."""
_TOLERANCE = 1e-6
"""Shares of a GPU that were rounded add up to a little more or less than one."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """CPUs and GPUs of a whole cluster."""

    num_cpus: float
    num_gpus: float


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
    """The machines that the connected cluster has now. This process must be connected to Ray."""
    import ray

    listed: Callable[[], list[dict[str, Any]]] = ray.nodes
    return tuple(_node(node["Resources"]) for node in listed() if node["Alive"])


def capacity() -> Capacity:
    """What all machines of the connected cluster have now. This process must be connected to Ray."""
    import ray

    summed: Callable[[], dict[str, float]] = ray.cluster_resources
    resources = summed()
    return Capacity(num_cpus=resources.get("CPU", 0.0), num_gpus=resources.get("GPU", 0.0))


def num_slots(nodes: Iterable[Node], cpus: float, gpus: float) -> int:
    """Slots of `cpus` CPUs and `gpus` GPUs each that fit on all of the empty machines at once."""
    return sum(node.num_slots(cpus, gpus) for node in nodes)


def _node(resources: dict[str, float]) -> Node:
    kinds = sorted(name.removeprefix(_KIND) for name in resources if name.startswith(_KIND))
    num_gpus = resources.get("GPU", 0.0)
    return Node(
        num_cpus=resources.get("CPU", 0.0),
        num_gpus=num_gpus,
        gpu_kind=kinds[0] if kinds and num_gpus else None,
    )
