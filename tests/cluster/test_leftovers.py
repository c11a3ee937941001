"""What a killed driver left running is ended by whoever comes next; no process is taken for another."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cluster.leftovers import Leftover, Started, end_leftovers, leftovers

PATIENCE_SECONDS = 60
DRIVER = """
import subprocess, sys, time
from pathlib import Path
import cluster.leftovers
cluster.leftovers.SECONDS_BETWEEN_LOOKS = 0.05
command = [sys.executable, "-c", "import time; time.sleep(600)"]
with cluster.leftovers.noted(Path(sys.argv[1])):
    quiet = {"stdout": subprocess.DEVNULL}
    ours = subprocess.Popen([*command, "/ray/_private/agent.py", "--session-dir=/tmp/ray/session_1"], **quiet)
    other = subprocess.Popen(command, **quiet)
    print(ours.pid, other.pid, flush=True)
    if sys.argv[2] == "wait":
        time.sleep(600)
    ours.kill()
    ours.wait()
    other.kill()
"""


def begin(folder: Path, how: str) -> tuple[subprocess.Popen[str], int, int]:
    """A driver with a process of Ray and another one."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), how], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    ours, other = map(int, driver.stdout.readline().split())
    return driver, ours, other


def wait_for_note(folder: Path) -> Path:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for file in folder.glob("*.json"):
            return file
        time.sleep(0.02)
    raise AssertionError("nothing was noted")


def wait_until_noticed(process: subprocess.Popen[bytes]) -> Started:
    """Once it runs its own command, and no longer that of the process it was forked from."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (found := Started.of(psutil.Process(process.pid))) is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("it does not run")


def wait_for_leftover(folder: Path) -> Leftover:
    """A process that is killed lives on for an instant."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for left in leftovers(folder):
            return left
        time.sleep(0.02)
    raise AssertionError("the driver's death was not noticed")


def is_running(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_only_processes_of_ray_of_a_dead_driver_are_ended(tmp_path: Path) -> None:
    driver, ours, other = begin(tmp_path, "wait")
    try:
        wait_for_note(tmp_path)
        assert leftovers(tmp_path) == (), "its driver lives"
        assert end_leftovers(tmp_path) == 0
        driver.kill()
        left = wait_for_leftover(tmp_path)  # also while nobody has taken notice of its end
        assert [process.pid for process in left.alive] == [ours]
        assert (left.driver, left.session) == (driver.pid, "/tmp/ray/session_1")
        driver.communicate(timeout=PATIENCE_SECONDS)
        assert end_leftovers(tmp_path) == 1
        assert not is_running(ours)
        assert is_running(other)
        assert list(tmp_path.iterdir()) == []
    finally:
        for number in (ours, other):
            if is_running(number):
                os.kill(number, signal.SIGKILL)


def test_an_ordinary_end_leaves_no_note(tmp_path: Path) -> None:
    driver, _, _ = begin(tmp_path, "end")
    driver.communicate(timeout=PATIENCE_SECONDS)
    assert driver.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["processes.started", "processes.command", "host", "driver"])
def test_what_does_not_fit_is_another_process(tmp_path: Path, what: str) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)", "/ray/core/raylet"]
    process = subprocess.Popen(command)
    try:
        started = wait_until_noticed(process)
        one = {"process": process.pid, "started": started.started, "command": started.command}
        note = {"host": socket.gethostname(), "driver": 2**22 + 1, "driver_started": 1.0, "session": None}
        here = psutil.Process()
        changes: dict[str, dict[str, object]] = {
            "processes.started": {"processes": [{**one, "started": started.started - 60}]},
            "processes.command": {"processes": [{**one, "command": "/ray/core/gcs_server"}]},
            "host": {"host": "node-7"},
            "driver": {"driver": here.pid, "driver_started": here.create_time()},
        }
        file = tmp_path / "x.json"
        file.write_text(json.dumps({**note, "processes": [one]}))
        assert [len(left.alive) for left in leftovers(tmp_path)] == [1]
        file.write_text(json.dumps({**note, "processes": [one], **changes[what]}))
        assert end_leftovers(tmp_path) == 0
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_note_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    assert end_leftovers(tmp_path) == 0
