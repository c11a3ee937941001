"""Packing processes on GPUs: never more than memory and cores hold, and never none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.nodes import Node, num_slots
from cluster.packing import HEADROOM, MAX_PROCESSES_PER_GPU, Packing, gpu_share, memory_fraction, pack

GB = 10**9


def packed(**changes: float) -> Packing:
    asked = {
        "peak_bytes": 3 * GB,
        "total_bytes": 140 * GB,
        "overhead_bytes": GB,
        "cores_per_gpu": 64,
        "cpus_per_process": 1,
        "max_processes": 100,
    }
    return pack(**{**asked, **changes})  # type: ignore[arg-type]


@given(
    peak_bytes=st.integers(0, 200 * GB),
    total_bytes=st.integers(GB, 200 * GB),
    overhead_bytes=st.integers(0, 2 * GB),
    cores_per_gpu=st.floats(0.25, 256),
    cpus_per_process=st.integers(1, 64),
    max_processes=st.integers(1, 1000),
)
def test_what_shares_a_gpu_fits(
    peak_bytes: int,
    total_bytes: int,
    overhead_bytes: int,
    cores_per_gpu: float,
    cpus_per_process: int,
    max_processes: int,
) -> None:
    num = pack(
        peak_bytes=peak_bytes,
        total_bytes=total_bytes,
        overhead_bytes=overhead_bytes,
        cores_per_gpu=cores_per_gpu,
        cpus_per_process=cpus_per_process,
        max_processes=max_processes,
    ).processes_per_gpu
    assert 1 <= num <= min(MAX_PROCESSES_PER_GPU, max_processes)
    if num > 1:
        allowed = memory_fraction(gpu_share(num), total_bytes, overhead_bytes) * total_bytes
        assert allowed >= peak_bytes * (1 + HEADROOM)
        assert num * cpus_per_process <= cores_per_gpu
        # Otherwise the process's own needs are all but the whole of its part.
        if allowed * 4 > gpu_share(num) * total_bytes:
            assert num * (allowed + overhead_bytes) <= total_bytes * (1 + 1e-9)


@given(num=st.integers(1, MAX_PROCESSES_PER_GPU), num_gpus=st.integers(1, 64))
def test_ray_holds_as_many_as_were_meant(num: int, num_gpus: int) -> None:
    node = Node(num_cpus=1000, num_gpus=num_gpus, gpu_kind="H200")
    assert num_slots([node], 1, gpu_share(num)) == num * num_gpus
    assert round(gpu_share(num) * 10_000) * num <= 10_000, "Ray counts ten-thousandths"


@pytest.mark.parametrize(
    ("changes", "processes_per_gpu", "limit"),
    [
        ({}, 8, "no more than 8 share one"),
        ({"cores_per_gpu": 16, "cpus_per_process": 4}, 4, "limited by 16 cores for each GPU"),
        ({"peak_bytes": 40 * GB}, 2, "limited by its memory"),
        ({"peak_bytes": 139 * GB}, 1, "limited by its memory"),
        ({"max_processes": 3}, 3, "no more run at once"),
        ({"cores_per_gpu": 0.5}, 1, "limited by 0.5 cores for each GPU"),
    ],
)
def test_what_limits_is_said(changes: dict[str, float], processes_per_gpu: int, limit: str) -> None:
    assert packed(**changes) == Packing(processes_per_gpu=processes_per_gpu, limit=limit)


def test_a_memory_fraction_leaves_room_for_what_is_no_tensor() -> None:
    assert memory_fraction(1.0, 80 * GB) == 1.0
    assert memory_fraction(0.25, 80 * GB, 4 * GB) == pytest.approx(0.2)
    assert memory_fraction(0.01, 8 * GB, GB) == pytest.approx(0.0025), (
        "a part that is too small for a context is still a part"
    )


def test_a_slot_lies_on_one_machine_and_one_gpu() -> None:
    two = [Node(num_cpus=3, num_gpus=2, gpu_kind=None), Node(num_cpus=8, num_gpus=0, gpu_kind=None)]
    assert num_slots(two, 1, 0.0) == 11
    assert num_slots(two, 2, 0.0) == 5
    assert num_slots(two, 1, 0.4) == 3, "two on each GPU, but three cores"
    assert num_slots(two, 0.5, 0.4) == 4, "what is left of two GPUs is no GPU"
    assert num_slots(two, 1, 1.0) == 2
