"""A seeded study whose processes are killed again and again, against the same study left alone.

    python tests/driver_processes/chaos.py --kills 20

Driver, trial, raylet and GCS get SIGKILL in turn, and the driver SIGTERM, SIGINT and SIGHUP, at random
instants of a study of digits, one trial at a time, with its confirmation and a promotion; study and promotion
are begun again each time. With `--server` MLflow is a server, which is killed and started again, too.
`--victims` names others, in their order. At the end both studies must have the same trials with the same
epochs and ends, the same further trainings, candidates and champion, and MLflow each training once, with a
true status.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))
from mlflow_server import running_mlflow
from study_process import processes, start

from study import names
from study.connections.mlflow_client import connect
from study.home import Home
from study.registry.promotion import history
from study.results.study_result import StudyResult
from study.search.record.trial import Trial
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

KILLED = ("driver", "trial", "raylet", "head")
SIGNALS: Mapping[str, signal.Signals] = {
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "hangup": signal.SIGHUP,
}
VICTIMS = (*KILLED, *SIGNALS)
SERVER = "mlflow"
"""A victim where MLflow is a server."""
PATIENCE_SECONDS = 3600.0
END_SECONDS = 300.0
"""How long a driver may take to end that got a signal or lost its Ray: long, as the machine may be busy."""
STATUS = {"complete": "FINISHED", "pruned": "KILLED"}


def main() -> None:
    # Under `nohup` it is ignored, and a driver inherits that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--victims", default=None, help="such as driver,head,term; all, if left out")
    parser.add_argument("--server", action="store_true", help="MLflow as a server, which is killed, too")
    arguments = parser.parse_args()
    victims = (*VICTIMS, SERVER) if arguments.server else VICTIMS
    if arguments.victims is not None:
        victims = tuple(arguments.victims.split(","))
        if not set(victims) <= {*VICTIMS, *((SERVER,) if arguments.server else ())}:
            parser.error(f"--victims takes {', '.join(VICTIMS)}, and {SERVER} with --server")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        add_dataset(home.datasets, "digits", None, AddOptions())
        started = time.monotonic()
        with served_where_wanted(home, is_wanted=arguments.server) as server:
            chaos = Chaos(home, arguments.trials, arguments.epochs, arguments.seed, print, server)
            done = chaos.run(arguments.kills, victims)
            check_equal(home)
    print(json.dumps({"kills": done, "seconds": round(time.monotonic() - started), "equal": True}))


class Server:
    """MLflow's server on a database in a home, which can be killed and started again at its address."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stack = ExitStack()
        self.port: int | None = None

    def start(self) -> None:
        """Starts it, at the port that it had before."""
        connect(f"sqlite:///{self._home.folder / 'server.db'}")
        running = running_mlflow(
            f"sqlite:///{self._home.folder / 'server.db'}",
            (self._home.folder / "served").as_uri(),
            port=self.port,
        )
        self.port = self._stack.enter_context(running)

    def kill(self) -> None:
        """Kills all of its processes."""
        self._stack.close()


@contextmanager
def served_where_wanted(home: Home, *, is_wanted: bool) -> Iterator[Server | None]:
    """A server that `MLFLOW_TRACKING_URI` names; None, and SQLite in the home, where none is wanted."""
    if not is_wanted:
        yield None
        return
    server = Server(home)
    server.start()
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
        server.kill()


class Chaos:
    """The study `left-alone`, each of whose commands runs once, and the study `killed`."""

    def __init__(
        self,
        home: Home,
        trials: int,
        epochs: int,
        seed: int,
        say: Callable[[str], object],
        server: Server | None = None,
    ) -> None:
        self._home = home
        self._size = trials, epochs
        self._draw = random.Random(seed)
        self._say = say
        self._server = server
        self._process: subprocess.Popen[str] | None = None

    def run(self, kills: int, victims: tuple[str, ...] = VICTIMS) -> dict[str, int]:
        """Runs both, and returns how many of each victim there were."""
        for name in ("left-alone", "killed"):
            (self._home.folder / f"{name}.yaml").write_text(yaml.safe_dump(spec(name, *self._size)))
        _finish(start(self._home, "run", str(self._home.folder / "left-alone.yaml")))
        _finish(start(self._home, "promote", "digits", *_FORCED))
        done = dict.fromkeys(victims, 0)
        for index in range(kills):
            victim = victims[index % len(victims)]
            driver = self._driver()
            if driver is None:
                self._say(f"the study came to its end after {index} kills")
                break
            time.sleep(self._draw.uniform(0.0, 3.0))
            done[victim] += self._hit(driver, victim)
        while (driver := self._driver()) is not None:
            _, said = driver.communicate(timeout=PATIENCE_SECONDS)
            assert driver.returncode == 0 or (self._server is not None and "MLflow" in said), said
        self._promote_with_a_kill()
        return done

    def _driver(self) -> subprocess.Popen[str] | None:
        """The driver, begun or resumed if it is dead, once a training runs; None once the study has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                if self._process is not None:
                    self._process.communicate()
                is_begun = (self._home.studies / "killed" / "study.yaml").exists()
                if is_begun and StudyResult.read(self._home.studies / "killed").has_ended:
                    return None
                words = ("resume", "killed") if is_begun else ("run", str(self._home.folder / "killed.yaml"))
                self._process = start(self._home, *words)
            if processes(self._process.pid, "trial"):
                return self._process
            time.sleep(0.1)
        raise AssertionError("no training started")

    def _hit(self, driver: subprocess.Popen[str], victim: str) -> bool:
        """Whether there was something to kill. A driver that must end does so in time."""
        if victim == SERVER:
            assert self._server is not None, "the victim is a server"
            self._server.kill()
            self._say("killed MLflow's server")
            time.sleep(self._draw.uniform(0.0, 3.0))
            self._server.start()
            return True
        order = SIGNALS.get(victim, signal.SIGKILL)
        found = processes(driver.pid, "driver" if victim in SIGNALS else victim)
        for target in found:
            _send(target, order)
        self._say(f"{order.name} to {victim}: {len(found)} process(es)")
        if victim != "trial" and found:
            _, said = driver.communicate(timeout=END_SECONDS)
            assert victim == "driver" or "Traceback" not in said, said
        return bool(found)

    def _promote_with_a_kill(self) -> None:
        """The champion is decided by a process that is killed, and by one that begins again."""
        first = start(self._home, "promote", "digits", *_FORCED)
        time.sleep(self._draw.uniform(2.0, 8.0))
        first.kill()
        first.communicate()
        again = start(self._home, "promote", "digits", *_FORCED)
        _, said = again.communicate(timeout=PATIENCE_SECONDS)
        assert again.returncode == 0 or "champion" in said, said


_FORCED = ("--force", "--reason", "chaos")
"""The second study's version is as good as the first's, and no better."""


def spec(name: str, trials: int, epochs: int) -> dict[str, Any]:
    """The study under a name; a trial may be killed as often as it comes."""
    return {
        "study": name,
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": trials, "epochs": epochs},
        "early_stopping": {"rule": "asha", "first_rung": 0.2},
        "confirm": {"top": 1, "seeds": 2},
        "resources": {"max_concurrent": 1, "retries": 100},
        "seed": 11,
    }


def check_equal(home: Home) -> None:
    """Raises AssertionError unless both studies came to the same, and MLflow has each training once."""
    alone, killed = (StudyResult.read(home.studies / name) for name in ("left-alone", "killed"))
    _check_trainings(alone.trials, killed.trials)
    assert list(alone.confirmation) == list(killed.confirmation), "other further trainings"
    _check_trainings(tuple(alone.confirmation.values()), tuple(killed.confirmation.values()))
    assert _candidates(alone) == _candidates(killed), "other candidates"
    assert killed.final is not None
    decisions = history(home, "digits").decisions
    assert [one.kind for one in decisions] == ["promoted"] * 2, "decided twice, or not"
    assert decisions[-1].version == killed.final.version, "another champion"
    for result in (alone, killed):
        _check_runs(home, result)


def _check_trainings(alone: tuple[Trial, ...], killed: tuple[Trial, ...]) -> None:
    assert [trial.point for trial in killed] == [trial.point for trial in alone], "other configurations"
    assert [dict(trial.values) for trial in killed] == [dict(trial.values) for trial in alone], "other epochs"
    assert [trial.state for trial in killed] == [trial.state for trial in alone], "other ends"


def _candidates(result: StudyResult) -> list[object]:
    """Without what depends on the order of the studies: versions and openings of the test split."""
    assert result.final is not None, "no result"
    return [
        (one.kind, one.trial, one.seeds, {name: value.value for name, value in one.test.metrics.items()})
        for one in result.final.candidates
    ]


def _check_runs(home: Home, result: StudyResult) -> None:
    client = connect(home.tracking_uri)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    assert result.run_id is not None
    runs = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{result.run_id}'", max_results=1000
    )
    trials = {names.trial_name(trial.number): trial for trial in result.trials} | dict(result.confirmation)
    assert sorted(run.info.run_name for run in runs) == sorted(trials), "a training has no run, or two"
    for run in runs:
        trial = trials[run.info.run_name]
        assert run.info.status == STATUS[trial.state], (
            f"{run.info.run_name} is {trial.state}, its run {run.info.status}"
        )
        steps = client.get_metric_history(run.info.run_id, "validation/macro_f1")
        assert sorted(metric.step for metric in steps) == sorted(trial.values), (
            f"epochs of {run.info.run_name} are missing or doubled"
        )
    assert client.get_run(result.run_id).info.status == "FINISHED"


def _send(target: psutil.Process, order: signal.Signals) -> None:
    try:
        target.send_signal(order)
    except psutil.NoSuchProcess:
        return


def _finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said


if __name__ == "__main__":
    main()
