"""How many processes share a GPU, and how much of its memory each may take: pure functions."""

import math
from dataclasses import dataclass

MAX_PROCESSES_PER_GPU = 8
"""The kernels of several processes take turns: one fills the gaps in which another waits for its CPU.

More processes find no gaps.
"""
HEADROOM = 0.15
"""Share of the measured peak that is added to it: memory is split into blocks, which leave gaps."""
OVERHEAD_BYTES = 2**30
"""What a process takes besides its tensors, where nobody measured it: context, kernels, workspaces."""
_RAY_STEPS = 10_000
"""Ray counts ten-thousandths of a GPU."""
_MIN_TENSOR_SHARE = 0.25
"""Share of a process's part of a GPU that is left to its tensors, however much the process takes besides."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How many processes share each GPU, and why there are not more."""

    processes_per_gpu: int
    limit: str
    """What keeps the number from being larger, for a person."""

    @property
    def gpus_per_process(self) -> float:
        """The part of a GPU that each process asks of Ray, in (0, 1]."""
        return gpu_share(self.processes_per_gpu)


def pack(
    *,
    peak_bytes: int,
    total_bytes: int,
    overhead_bytes: int,
    cores_per_gpu: float,
    cpus_per_process: int,
    max_processes: int,
) -> Packing:
    """As many processes as a GPU holds, at least one: each with some headroom in its part of the memory.

    `peak_bytes` is the most that the tensors of a process take, `total_bytes` the GPU's memory,
    `overhead_bytes` what a process takes besides its tensors. `cpus_per_process` are cores that each process
    has for itself. `max_processes` is how many processes there could be for each GPU.
    """
    wanted = peak_bytes * (1 + HEADROOM)
    fitting = (
        num
        for num in range(MAX_PROCESSES_PER_GPU, 1, -1)
        if memory_fraction(gpu_share(num), total_bytes, overhead_bytes) * total_bytes >= wanted
    )
    limits = {
        f"no more than {MAX_PROCESSES_PER_GPU} share one": MAX_PROCESSES_PER_GPU,
        "limited by its memory": next(fitting, 1),
        f"limited by {cores_per_gpu:g} cores for each GPU": int(cores_per_gpu / cpus_per_process),
        "no more run at once": max_processes,
    }
    limit = min(limits, key=lambda name: limits[name])
    return Packing(processes_per_gpu=max(limits[limit], 1), limit=limit)


def gpu_share(num_processes: int) -> float:
    """The part of a GPU, in (0, 1], that each of `num_processes` asks of Ray.

    Rounded down: Ray would round 1/6 up and hold only five.
    """
    return math.floor(_RAY_STEPS / num_processes) / _RAY_STEPS


def memory_fraction(gpus: float, total_bytes: int, overhead_bytes: int = OVERHEAD_BYTES) -> float:
    """The fraction of a GPU's memory, in (0, 1], for the tensors of a process that has `gpus` of the GPU.

    What the process takes besides its tensors comes off first, up to three quarters of the process's part.
    """
    return 1.0 if gpus >= 1 else max(gpus - overhead_bytes / total_bytes, gpus * _MIN_TENSOR_SHARE)
