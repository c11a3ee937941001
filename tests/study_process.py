"""The command line in processes that a test may interrupt and kill."""

import os
import subprocess
import sys
import time

import psutil

from study.home import Home
from study.search.record.study_record import StudyRecord

PATIENCE_SECONDS = 600
"""Long, as both cores may be busy with other tests."""


def start(home: Home, *arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-c", "from study.cli.main import main; main()", *arguments]
    environment = {**os.environ, "STUDY_HOME": str(home.folder)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_running(home: Home, name: str, process: subprocess.Popen[str] | None, num_ended: int) -> None:
    """Returns in the middle of a trial, after `num_ended` others; `process` is the driver where that is not
    this process.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, process.communicate()
        if (home.studies / name / "study.yaml").exists():
            trials = StudyRecord.open(home.studies / name).trials
            if sum(trial.has_ended for trial in trials) >= num_ended and any(
                trial.state == "running" and len(trial.values) > 2 for trial in trials
            ):
                return
        time.sleep(0.1)
    raise AssertionError("the study did not get that far")


def wait_for_processes(driver: int, kind: str) -> list[psutil.Process]:
    """The processes of one kind of a driver's study, once there are some: Ray names them anew at each call,
    and not in one go.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := processes(driver, kind):
            return found
        time.sleep(0.02)
    raise AssertionError(f"no process of kind {kind} was found")


def processes(driver: int, kind: str) -> list[psutil.Process]:
    """The processes of one kind, `driver`, `trial`, `raylet` or `head` (Ray's), that belong to the driver's
    study at this moment.
    """
    try:
        ours = psutil.Process(driver)
        if kind == "driver":
            return [ours]
        name = {"trial": "Trainable", "raylet": "raylet/raylet", "head": "gcs_server"}[kind]
        return [child for child in ours.children(recursive=True) if _is_named(child, name)]
    except psutil.NoSuchProcess:
        return []


def _is_named(process: psutil.Process, name: str) -> bool:
    try:
        return any(name in word for word in process.cmdline()[:1])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
