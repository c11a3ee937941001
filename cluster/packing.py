"""How many trials share a GPU: a pure function of what one takes and what there is, and the fence that keeps each in its part."""

import math
from dataclasses import dataclass

MOST_ON_A_GPU = 8
"""The kernels of several processes take turns on a GPU: some fill the gaps in which another waits for its CPU, and then it is full."""
HEADROOM = 0.15
"""Of the measured peak, on top of it: memory is split into blocks that not everything fits into."""
OVERHEAD_BYTES = 2**30
"""What a process takes of a GPU besides its tensors, where it was not measured: context, loaded kernels, workspaces of libraries."""
_STEPS_OF_RAY = 10_000
"""Ray counts ten-thousandths of a GPU."""
_LEAST_SHARE_FENCED = 0.25


@dataclass(frozen=True, kw_only=True)
class Packing:
    """So many trials on each GPU, and what keeps it from being more."""

    num_trials: int
    limit: str

    @property
    def gpus_per_trial(self) -> float:
        """What each asks of Ray."""
        return share(self.num_trials)


def pack(
    *, peak_bytes: int, total_bytes: int, overhead_bytes: int, cores_per_gpu: float, cpus_per_trial: int, most_at_once: int
) -> Packing:
    """As many trials as a GPU holds, one at least: each behind its fence with some headroom above `peak_bytes`, and with its own cores.

    `peak_bytes` is what the tensors of a trial took at most, `total_bytes` the GPU's memory, `overhead_bytes` what a process takes
    besides; `most_at_once` are the trials that the study could have for each GPU.
    """
    wanted = peak_bytes * (1 + HEADROOM)
    fitting = (num for num in range(MOST_ON_A_GPU, 1, -1) if fence(share(num), total_bytes, overhead_bytes) * total_bytes >= wanted)
    limits = {
        f"no more than {MOST_ON_A_GPU} share one": MOST_ON_A_GPU,
        "limited by its memory": next(fitting, 1),
        f"limited by {cores_per_gpu:g} cores for each GPU": int(cores_per_gpu / cpus_per_trial),
        "the study has no more trials at once": most_at_once,
    }
    limit = min(limits, key=lambda name: limits[name])
    return Packing(num_trials=max(limits[limit], 1), limit=limit)


def share(num_trials: int) -> float:
    """The part of a GPU that each of so many trials asks for; rounded down, as Ray would round 1/6 up and hold only five."""
    return math.floor(_STEPS_OF_RAY / num_trials) / _STEPS_OF_RAY


def fence(gpus: float, total_bytes: int, overhead_bytes: int = OVERHEAD_BYTES) -> float:
    """The share of a GPU's memory, in (0, 1], that the tensors of a trial with `gpus` of it may take.

    What its process takes besides comes off first; of a part too small for that, a quarter is left to the tensors all the same.
    """
    return 1.0 if gpus >= 1 else max(gpus - overhead_bytes / total_bytes, gpus * _LEAST_SHARE_FENCED)
