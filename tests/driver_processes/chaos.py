"""A seeded study whose processes are killed again and again, against the same study left alone.

    python tests/driver_processes/chaos.py --kills 20

Driver, trial and raylet get SIGKILL in turn, at random instants of a study of digits, one trial at a time; it
is resumed each time. At the end both studies must have the same trials with the same epochs and ends, and
MLflow each trial once, with a true status.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))
from study_process import processes, start

from study.connections.mlflow_client import connect
from study.home import Home
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

VICTIMS = ("driver", "trial", "raylet")
PATIENCE_SECONDS = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        add_dataset(home.datasets, "digits", None, AddOptions())
        started = time.monotonic()
        done = chaos(home, arguments.kills, arguments.trials, arguments.epochs, arguments.seed, print)
        check_equal(home)
    print(json.dumps({"kills": done, "seconds": round(time.monotonic() - started), "equal": True}))


def chaos(
    home: Home, kills: int, trials: int, epochs: int, seed: int, say: Callable[[str], object]
) -> dict[str, int]:
    """Runs the study `left-alone`, then `killed` with its kills; returns how many of each victim there
    were.
    """
    for name in ("left-alone", "killed"):
        (home.folder / f"{name}.yaml").write_text(yaml.safe_dump(spec(name, trials, epochs)))
    _finish(start(home, "run", str(home.folder / "left-alone.yaml")))
    draw = random.Random(seed)
    done = dict.fromkeys(VICTIMS, 0)
    process = start(home, "run", str(home.folder / "killed.yaml"))
    for index in range(kills):
        victim = VICTIMS[index % len(VICTIMS)]
        process = _alive(home, process)
        if StudyResult.read(home.studies / "killed").has_ended:
            say(f"the study came to its end after {index} kills")
            break
        time.sleep(draw.uniform(0.0, 3.0))
        found = processes(process.pid, victim)
        for target in found:
            target.kill()
        done[victim] += bool(found)
        say(f"killed {victim}: {len(found)} process(es)")
        if victim != "trial":
            _end(process)
    _finish(_alive(home, process) if not StudyResult.read(home.studies / "killed").has_ended else process)
    return done


def spec(name: str, trials: int, epochs: int) -> dict[str, Any]:
    """The study under a name; a trial may be killed as often as it comes."""
    return {
        "study": name,
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": trials, "epochs": epochs},
        "early_stopping": {"rule": "asha", "first_rung": 0.2},
        "resources": {"max_concurrent": 1, "retries": 100},
        "seed": 11,
    }


def check_equal(home: Home) -> None:
    """Raises AssertionError unless both studies came to the same, and MLflow has each trial once."""
    alone, killed = (StudyResult.read(home.studies / name) for name in ("left-alone", "killed"))
    assert [trial.point for trial in killed.trials] == [trial.point for trial in alone.trials], (
        "other configurations"
    )
    assert [dict(trial.values) for trial in killed.trials] == [
        dict(trial.values) for trial in alone.trials
    ], "other epochs"
    assert [trial.state for trial in killed.trials] == [trial.state for trial in alone.trials], "other ends"
    client = connect(home.tracking_uri)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    assert killed.run_id is not None
    runs = client.search_runs(
        [experiment.experiment_id],
        f"tags.`mlflow.parentRunId` = '{killed.run_id}'",
    )
    numbers = sorted(int(run.data.tags["study.trial"]) for run in runs)
    assert numbers == [trial.number for trial in killed.trials], "a trial has no run, or two"
    expected = {"complete": "FINISHED", "pruned": "KILLED"}
    for run in runs:
        trial = killed.trials[int(run.data.tags["study.trial"])]
        assert run.info.status == expected[trial.state], (
            f"trial {trial.number} is {trial.state}, its run {run.info.status}"
        )
        history = client.get_metric_history(run.info.run_id, "validation/macro_f1")
        assert sorted(metric.step for metric in history) == sorted(trial.values), (
            f"epochs of trial {trial.number} are missing or doubled"
        )
    assert client.get_run(killed.run_id).info.status == "FINISHED"


def _alive(home: Home, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The driver, resumed if it is dead, once a trial runs; or once it has come to its end."""
    if process.poll() is not None:
        is_begun = (home.studies / "killed" / "study.yaml").exists()
        process = start(
            home, *(("resume", "killed") if is_begun else ("run", str(home.folder / "killed.yaml")))
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None or processes(process.pid, "trial"):
            return process
        time.sleep(0.1)
    raise AssertionError("no trial started")


def _end(process: subprocess.Popen[str]) -> None:
    """Waits for a driver that lost its Ray, or is dead; one that hangs is killed."""
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate(timeout=60)


def _finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said


if __name__ == "__main__":
    main()
