"""Where a study would run: how many trials at once, and on what."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.autoscaler import largest_cluster
from cluster.connection import is_shared, num_cores, num_gpus
from cluster.nodes import Node, capacity_of, num_slots, of_kind
from study.planning.plan import Plan
from study.study_file.resources import Resources

CORES_OF_OTHERS = 0.2
"""What the driver, Ray and MLflow take while trials train: 27 core seconds of a study of two minutes."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What trials run on."""

    machine: str
    """Kind of processor, and number of cores."""
    device: str
    """`cpu`, or the name of the GPUs."""
    devices_text: str
    """For a person: `2 CPU cores`, `1 GPU (NVIDIA H200)`."""
    num_slots: int
    """Trials that run at the same time; those that share a GPU count as one, as if they took turns."""
    threads: int
    """Of each trial."""
    num_cores: int | None = None
    """Of this machine; None where it is not it that trains."""
    is_cluster: bool = False
    """Whether it is the connected cluster, whose machines are not this one."""

    @property
    def has_gpus(self) -> bool:
        """Whether trials use GPUs."""
        return self.device != "cpu"

    @property
    def crowding(self) -> float:
        """How many times as long a trial takes because the study's other processes have no core of their
        own.
        """
        if self.has_gpus or self.num_cores is None:
            return 1.0
        return max((self.num_slots * self.threads + CORES_OF_OTHERS) / self.num_cores, 1.0)

    @property
    def precision(self) -> str:
        """That of forward passes."""
        return "bf16" if self.has_gpus else "fp32"


def site_of(plan: Plan) -> Site:
    """The cluster that `RAY_ADDRESS` names, to which this process must be connected then, or this machine."""
    return _cluster(plan) if is_shared() else this_machine(plan)


def this_machine(plan: Plan) -> Site:
    """This machine, of which Ray would give each trial what the study file says."""
    wanted = plan.spec.resources
    cores, threads = num_cores(), wanted.cpus_per_trial
    gpus = 0 if wanted.gpus_per_trial == 0 else num_gpus()
    node = Node(num_cpus=cores, num_gpus=gpus, gpu_kind=None)
    device = _gpu_name() if gpus else "cpu"
    return Site(
        machine=f"{_processor()}, {cores} cores",
        device=device,
        devices_text=_counted(gpus, f"GPU ({device})", f"GPUs ({device})")
        if gpus
        else _counted(cores, "CPU core", "CPU cores"),
        num_slots=_slots(plan, [node], whole_gpus(wanted) if gpus else 0.0),
        threads=threads,
        num_cores=cores,
    )


def whole_gpus(wanted: Resources) -> float:
    """Of a trial: those that share a GPU take turns, as if each had it alone."""
    return 1.0 if wanted.gpus_per_trial == "auto" else max(wanted.gpus_per_trial, 1.0)


def _cluster(plan: Plan) -> Site:
    """With the machines that its autoscaler may start."""
    wanted = plan.spec.resources
    machines = of_kind(largest_cluster(), wanted.gpu_kind)
    with_gpus = [] if wanted.gpus_per_trial == 0 else [node for node in machines if node.num_gpus]
    have = capacity_of(with_gpus or machines)
    kinds = sorted({node.gpu_kind or "GPU" for node in with_gpus})
    gpus = f"GPUs ({', '.join(have.gpus_by_kind)})" if have.gpus_by_kind else "GPUs"
    number, what = (have.num_gpus, gpus) if with_gpus else (have.num_cpus, "CPU cores")
    return Site(
        machine=f"of a cluster: {_shapes_text(with_gpus or machines)}",
        device=", ".join(kinds) or "cpu",
        devices_text=f"the cluster's {number:g} {what}",
        num_slots=_slots(plan, with_gpus or machines, whole_gpus(wanted) if with_gpus else 0.0),
        threads=wanted.cpus_per_trial,
        is_cluster=True,
    )


def _slots(plan: Plan, machines: Sequence[Node], gpus: float) -> int:
    budget, wanted = plan.spec.budget, plan.spec.resources
    at_most = min(wanted.max_concurrent or budget.trials, budget.trials)
    return max(min(num_slots(machines, wanted.cpus_per_trial, gpus), at_most), 1)


def _shapes_text(machines: Sequence[Node]) -> str:
    """Which kinds of machine there are, however many of each."""
    return "; ".join(sorted({f"{node.num_cpus:g} cores, {node.num_gpus:g} GPUs" for node in machines}))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _processor() -> str:
    """The processor's name; the architecture's where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _gpu_name() -> str:
    import pynvml

    pynvml.nvmlInit()
    try:
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
    finally:
        pynvml.nvmlShutdown()
    return name.decode() if isinstance(name, bytes) else str(name)
