"""What the checks of Ray and MLflow share: one small run of Ray Tune, one MLflow database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from fresh_mlflow import FreshMlflow
from tune_run import TuneRun

from study.connections.mlflow_client import connect, prepare_experiment

PROJECT = Path(__file__).parents[2]
NUM_TRIES = 5
"""Ray gives its own processes 30 s to start, which a busy machine may exceed and nobody can set."""


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> TuneRun:
    """One run of Ray Tune for all tests; it takes some 15 s."""
    return _tuned(tmp_path_factory)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory, fresh_homes: FreshHomes) -> FreshMlflow:
    """One SQLite database for all tests; each makes runs of its own."""
    home = fresh_homes.make(tmp_path_factory.mktemp("home"))
    client = connect(home.tracking_uri)
    return FreshMlflow(client=client, home=home, experiment_id=prepare_experiment(client, home, "upstream"))


def _tuned(tmp_path_factory: pytest.TempPathFactory) -> TuneRun:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))
    }
    environment["PYTHONPATH"] = str(PROJECT)
    for _ in range(NUM_TRIES):
        folder = tmp_path_factory.mktemp("tune")
        command = [sys.executable, str(Path(__file__).with_name("tune_run.py")), str(folder)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode == 0:
            *printed, noted = done.stdout.splitlines()
            tree = json.loads(noted)
            return TuneRun(
                files=tree.pop("files"),
                processes=tree.pop("processes"),
                trials=tree,
                printed="\n".join(printed) + done.stderr,
                working_folder=str(folder),
            )
    raise AssertionError(f"Ray Tune does not run: {done.stderr[-3000:]}")
