"""What the drivers of studies take of a cluster's head: little, stated, and no more than there is."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest
import yaml
from laptop import PATIENCE_SECONDS, Laptop
from real_cluster import RealCluster

from cluster.jobs import JobServer
from cluster.working_dir import zip_files
from study.remote.sent_jobs import DRIVER_BYTES

pytestmark = pytest.mark.slow  # heads and a node start for them


def wait_for(holds: Callable[[], bool]) -> None:
    """Until a function is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.fixture
def small_head(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    """A head without CPUs for Ray, whose memory is enough for two drivers."""
    cluster = RealCluster.with_token()
    for name, value in cluster.client_environment.items():
        monkeypatch.setenv(name, value)
    try:
        cluster.start_head(cpus=0, memory=2 * DRIVER_BYTES + DRIVER_BYTES // 2)
        yield JobServer(cluster.address)
    finally:
        cluster.close()


def test_a_head_takes_as_many_drivers_as_its_memory_holds_and_no_more(small_head: JobServer) -> None:
    uri = small_head.upload(zip_files({"a.txt": b"1"}))
    for number in range(3):
        small_head.submit(
            f"driver-{number}",
            "sleep 600",
            working_dir=uri,
            environment={},
            metadata={},
            memory_bytes=DRIVER_BYTES,
        )
    small_head.submit("a-command", "sleep 600", working_dir=uri, environment={}, metadata={})

    def states() -> list[str]:
        return sorted(job.state for job in small_head.jobs())

    wait_for(lambda: states() == ["PENDING", "RUNNING", "RUNNING", "RUNNING"])
    waiting = next(job for job in small_head.jobs() if job.state == "PENDING")
    assert waiting.id.startswith("driver-")
    running = next(job for job in small_head.jobs() if job.state == "RUNNING" and "driver-" in job.id)
    small_head.stop(running.id)
    wait_for(lambda: small_head.job(waiting.id).state == "RUNNING")
    assert len({job.node for job in small_head.jobs()}) == 1, "all of them on the head"


def test_the_driver_of_a_study_goes_without_torch_and_takes_what_it_states(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in laptop.cluster.client_environment.items():
        monkeypatch.setenv(name, value)
    file = laptop.folder / "lean.yaml"
    tree = {
        "study": "lean",
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": 4, "epochs": 2},
    }
    file.write_text(yaml.safe_dump(tree))
    done = laptop.study("submit", str(file))
    assert done.returncode == 0, done.stderr
    (driver,) = (one for one in psutil.process_iter() if is_driver(one, laptop))
    most: dict[str, int] = {}
    maps_torch = False
    while driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE:
        with suppress(psutil.Error):
            memory = driver.memory_full_info()
            for kind in ("rss", "pss", "uss"):
                most[kind] = max(most.get(kind, 0), getattr(memory, kind))
            maps_torch |= any("libtorch" in part.path for part in driver.memory_maps())
        for one in psutil.process_iter():
            if is_supervisor(one, laptop):
                with suppress(psutil.Error):  # it ends soon after the driver
                    most["supervisor"] = max(most.get("supervisor", 0), one.memory_full_info().uss)
        time.sleep(0.5)
    print({kind: f"{size / 1e6:.0f} MB" for kind, size in most.items()})
    (job,) = json.loads(laptop.study("status", "lean", "--json").stdout)
    assert job["state"] == "ended", laptop.study("logs", "lean").stdout
    assert json.loads(laptop.study("show", "lean", "--json").stdout)["final"] is not None
    assert not maps_torch
    assert most["uss"] + most["supervisor"] < DRIVER_BYTES


def is_driver(process: psutil.Process, laptop: Laptop) -> bool:
    """Whether it is the driver of a study of this cluster, which is forked for it."""
    with suppress(psutil.Error):
        parent = process.parent()
        return parent is not None and is_fork_server(parent) and is_of(process, laptop)
    return False


def is_fork_server(process: psutil.Process) -> bool:
    """Whether it forks the drivers of a head, or is one of them."""
    return any(word.endswith("fork_server.py") for word in process.cmdline())


def is_supervisor(process: psutil.Process, laptop: Laptop) -> bool:
    """Whether it is Ray's process beside a job."""
    with suppress(psutil.Error):
        return "JobSupervisor" in " ".join(process.cmdline()) and is_of(process, laptop)
    return False


def is_of(process: psutil.Process, laptop: Laptop) -> bool:
    """Whether a process belongs to the cluster."""
    token = laptop.cluster.client_environment["RAY_AUTH_TOKEN_PATH"]
    return process.environ().get("RAY_AUTH_TOKEN_PATH") == token
