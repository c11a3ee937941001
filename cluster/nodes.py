"""What each machine of the connected cluster has, and how many trials fit on them: a trial runs on one machine, and shares one GPU only."""

from collections.abc import Iterable
from dataclasses import dataclass

_KIND = "accelerator_type:"
"""What Ray's resources call a kind of GPU: `accelerator_type:H100`."""
_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine."""

    num_cpus: float
    num_gpus: float
    gpu_kind: str | None
    """As Ray calls it; None without GPUs, or where Ray was only told that there are some."""

    def num_slots(self, cpus: float, gpus: float) -> int:
        """Trials of so many CPUs and GPUs, or of a share of one GPU, that fit at once."""
        by_cpus = int(self.num_cpus / cpus + _TOLERANCE)
        if gpus >= 1:
            return min(by_cpus, int(self.num_gpus / gpus + _TOLERANCE))
        # What is left of one GPU and what is left of another do not make room for a trial.
        return min(by_cpus, int(self.num_gpus) * int(1 / gpus + _TOLERANCE)) if gpus else by_cpus


def nodes() -> tuple[Node, ...]:
    """The machines that the connected cluster has now."""
    import ray

    return tuple(_node(one["Resources"]) for one in ray.nodes() if one["Alive"])


def num_slots(nodes: Iterable[Node], cpus: float, gpus: float) -> int:
    """Trials of so many CPUs and GPUs each that fit on all of the machines at once."""
    return sum(node.num_slots(cpus, gpus) for node in nodes)


def _node(resources: dict[str, float]) -> Node:
    kinds = sorted(name.removeprefix(_KIND) for name in resources if name.startswith(_KIND))
    num_gpus = resources.get("GPU", 0.0)
    return Node(num_cpus=resources.get("CPU", 0.0), num_gpus=num_gpus, gpu_kind=kinds[0] if kinds and num_gpus else None)
