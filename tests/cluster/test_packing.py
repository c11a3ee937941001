"""Packing trials on GPUs: never more than memory and cores hold, and never none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.nodes import Node, num_slots
from cluster.packing import HEADROOM, MOST_ON_A_GPU, Packing, fence, pack, share

GB = 10**9


def packed(**changes: float) -> Packing:
    asked = {
        "peak_bytes": 3 * GB,
        "total_bytes": 140 * GB,
        "overhead_bytes": GB,
        "cores_per_gpu": 64,
        "cpus_per_trial": 1,
        "most_at_once": 100,
    }
    return pack(**{**asked, **changes})  # type: ignore[arg-type]


@given(
    peak_bytes=st.integers(0, 200 * GB),
    total_bytes=st.integers(GB, 200 * GB),
    overhead_bytes=st.integers(0, 2 * GB),
    cores_per_gpu=st.floats(0.25, 256),
    cpus_per_trial=st.integers(1, 64),
    most_at_once=st.integers(1, 1000),
)
def test_what_shares_a_gpu_fits(
    peak_bytes: int, total_bytes: int, overhead_bytes: int, cores_per_gpu: float, cpus_per_trial: int, most_at_once: int
) -> None:
    num = pack(
        peak_bytes=peak_bytes,
        total_bytes=total_bytes,
        overhead_bytes=overhead_bytes,
        cores_per_gpu=cores_per_gpu,
        cpus_per_trial=cpus_per_trial,
        most_at_once=most_at_once,
    ).num_trials
    assert 1 <= num <= min(MOST_ON_A_GPU, most_at_once)
    if num > 1:
        fenced = fence(share(num), total_bytes, overhead_bytes) * total_bytes
        assert fenced >= peak_bytes * (1 + HEADROOM)
        assert num * cpus_per_trial <= cores_per_gpu
        if fenced * 4 > share(num) * total_bytes:  # otherwise the process's own needs are all but the whole of its part
            assert num * (fenced + overhead_bytes) <= total_bytes * (1 + 1e-9)


@given(num=st.integers(1, MOST_ON_A_GPU), num_gpus=st.integers(1, 64))
def test_ray_holds_as_many_as_were_meant(num: int, num_gpus: int) -> None:
    node = Node(num_cpus=1000, num_gpus=num_gpus, gpu_kind="H200")
    assert num_slots([node], 1, share(num)) == num * num_gpus
    assert round(share(num) * 10_000) * num <= 10_000, "Ray counts ten-thousandths"


@pytest.mark.parametrize(
    ("changes", "num_trials", "limit"),
    [
        ({}, 8, "no more than 8 share one"),
        ({"cores_per_gpu": 16, "cpus_per_trial": 4}, 4, "limited by 16 cores for each GPU"),
        ({"peak_bytes": 40 * GB}, 2, "limited by its memory"),
        ({"peak_bytes": 139 * GB}, 1, "limited by its memory"),
        ({"most_at_once": 3}, 3, "the study has no more trials at once"),
        ({"cores_per_gpu": 0.5}, 1, "limited by 0.5 cores for each GPU"),
    ],
)
def test_what_limits_is_said(changes: dict[str, float], num_trials: int, limit: str) -> None:
    assert packed(**changes) == Packing(num_trials=num_trials, limit=limit)


def test_a_fence_leaves_room_for_what_is_no_tensor() -> None:
    assert fence(1.0, 80 * GB) == 1.0
    assert fence(0.25, 80 * GB, 4 * GB) == pytest.approx(0.2)
    assert fence(0.01, 8 * GB, GB) == pytest.approx(0.0025), "a part that is too small for a context is still a part"


def test_a_trial_lies_on_one_machine_and_one_gpu() -> None:
    two = [Node(num_cpus=3, num_gpus=2, gpu_kind=None), Node(num_cpus=8, num_gpus=0, gpu_kind=None)]
    assert num_slots(two, 1, 0.0) == 11
    assert num_slots(two, 2, 0.0) == 5
    assert num_slots(two, 1, 0.4) == 3, "two on each GPU, but three cores"
    assert num_slots(two, 0.5, 0.4) == 4, "what is left of two GPUs is no GPU"
    assert num_slots(two, 1, 1.0) == 2
