"""Workers of a local Ray come from one process that has their libraries, and do what Ray's own do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PATIENCE_SECONDS = 120.0
PROGRAM = """
import json, os, signal, sys, time
import psutil, ray
from cluster.connection import connected
from cluster.fork_client import SERVER_VARIABLE
from cluster.worker_forks import worker_forks

def about():
    import sys
    parent = psutil.Process(os.getppid())
    return {
        "parent": " ".join(parent.cmdline()),
        "has_both": {"decimal", "ray.tune"} <= sys.modules.keys(),
        "told": os.environ.get("TOLD"),
        "process": os.getpid(),
    }

class Asked:
    def about(self):
        return about()

with worker_forks(["decimal"], with_ray=["ray.tune"]):
    server = int(os.environ[SERVER_VARIABLE].split(":")[0])
    with connected():
        found = {"driver_has_it": "decimal" in sys.modules and "ray.tune" in sys.modules}
        found["task"] = ray.get(ray.remote(about).remote())
        actor = ray.remote(runtime_env={"env_vars": {"TOLD": "to the actor"}})(Asked).remote()
        found["actor"] = ray.get(actor.about.remote())
        os.kill(found["actor"]["process"], signal.SIGKILL)
        try:
            ray.get(actor.about.remote())
        except ray.exceptions.RayActorError:
            found["death"] = "noticed"
        if "server dies" in sys.argv:
            forked = psutil.Process(server).children()
            os.kill(server, signal.SIGKILL)
            for one in forked:
                one.kill()  # it may still take tasks
            begun = time.monotonic()
            found["after"] = ray.get(ray.remote(max_retries=3)(about).remote(), timeout=120)
            found["seconds"] = time.monotonic() - begun
        children = psutil.Process().children(recursive=True)
        found["folder"] = os.environ[SERVER_VARIABLE].split(":")[1].rpartition("/")[0]
        found["children"] = [[one.pid, one.create_time()] for one in children]
        if "driver dies" in sys.argv:
            print(json.dumps(found), flush=True)
            time.sleep(600)
print(json.dumps(found))
"""


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    return subprocess.Popen([sys.executable, str(program), *words], stdout=subprocess.PIPE, text=True)


def are_gone(children: list[list[float]]) -> bool:
    alive = {
        (one.pid, one.info["create_time"])
        for one in psutil.process_iter(["create_time", "status"])
        if one.info["status"] != psutil.STATUS_ZOMBIE
    }
    return not alive & {(int(process), created) for process, created in children}


def test_tasks_and_actors_are_forked_and_end_with_the_driver(tmp_path: Path) -> None:
    out, _ = begin(tmp_path).communicate(timeout=PATIENCE_SECONDS)
    found = json.loads(out.splitlines()[-1])
    for one in (found["task"], found["actor"]):
        assert "fork_server.py" in one["parent"]
        assert one["has_both"]
    assert found["actor"]["told"] == "to the actor"
    assert found["task"]["told"] is None
    assert found["death"] == "noticed"
    assert are_gone(found["children"])
    assert not Path(found["folder"]).exists()


def test_without_the_server_ray_starts_workers_its_own_way(tmp_path: Path) -> None:
    out, _ = begin(tmp_path, "server dies").communicate(timeout=PATIENCE_SECONDS)
    found = json.loads(out.splitlines()[-1])
    assert "raylet" in found["after"]["parent"]
    assert found["seconds"] < 45, "nobody waits for a server that is dead"
    assert are_gone(found["children"])


def test_nothing_outlives_a_killed_driver(tmp_path: Path) -> None:
    driver = begin(tmp_path, "driver dies")
    assert driver.stdout is not None
    found = json.loads(next(line for line in driver.stdout if line.startswith("{")))  # Ray speaks there, too
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    workers = [child for child in found["children"] if child[0] == found["task"]["process"]]
    assert workers
    deadline = time.monotonic() + PATIENCE_SECONDS / 4
    while not are_gone(workers) or Path(found["folder"]).exists():
        assert time.monotonic() < deadline, "a worker or the server's folder outlived the driver"
        time.sleep(0.2)
