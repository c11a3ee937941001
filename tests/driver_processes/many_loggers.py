"""Processes that log trials to one MLflow all at once, each through its own outbox, as the processes of
trials do.

    python tests/driver_processes/many_loggers.py --uri sqlite:///many.db --processes 16 --epochs 30

Afterwards the database itself is asked: every metric of every epoch must be there, none twice. Prints one
JSON line.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import matplotlib.backends.backend_agg  # noqa: F401
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import sqlalchemy

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))
from run_records import context as study_context
from run_records import epoch

from search_spaces.space import Point
from study.connections.mlflow_client import connect
from study.planning.study_context import StudyContext
from study.recipes.point import build_recipe
from study.tracking.outbox import Outbox
from study.tracking.run_log import logs_in
from study.tracking.trial_run import TrialRun
from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions

PATIENCE_SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uri", required=True)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(log_at_once(arguments.uri, Path(folder), arguments.processes, arguments.epochs)))


def log_at_once(uri: str, folder: Path, num_processes: int, num_epochs: int) -> dict[str, float]:
    """Raises AssertionError unless everything is there once."""
    add_dataset(folder / "datasets", "digits", None, AddOptions())
    # Forked, so that MLflow's seconds of import are spent once. Connections must not be forked, so all are
    # made by children.
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    context.Process(target=_create, args=(sending, uri, folder)).start()
    told = study_context(folder, uri, receiving.recv())
    start = context.Event()
    children = [
        context.Process(target=_log, args=(start, told, number, num_epochs))
        for number in range(num_processes)
    ]
    for child in children:
        child.start()
    started = time.monotonic()
    start.set()
    for child in children:
        child.join(PATIENCE_SECONDS)
    seconds = time.monotonic() - started
    assert [child.exitcode for child in children] == [0] * num_processes
    assert [log.num_waiting for log in logs_in(folder / "outbox")] == [0] * num_processes
    _check(uri, num_processes, num_epochs)
    return {"processes": num_processes, "epochs": num_epochs, "seconds": round(seconds, 1)}


def _create(sending: Connection, uri: str, folder: Path) -> None:
    sending.send(connect(uri).create_experiment("many", artifact_location=(folder / "artifacts").as_uri()))


def _log(start: object, told: StudyContext, number: int, num_epochs: int) -> None:
    start.wait()  # type: ignore[attr-defined]
    outbox = Outbox(told.tracking_uri).start()
    run = TrialRun(outbox, told, number, is_first=True)
    manifest = Manifest.read(Path(told.dataset_folder))
    point: Point = {"architecture": "cnn2-32x64", "learning_rate": 0.001 * (number + 1)}
    run.open()
    run.describe(
        point, build_recipe(point, dataset=manifest, epochs=num_epochs, seed=number), manifest, "cpu"
    )
    for index in range(1, num_epochs + 1):
        reported = epoch(index)
        run.log_epoch(reported, reported.metrics.accuracy, {"system/cpu_utilization_percentage": 50.0})
        time.sleep(0.02)
    run.leave()
    os._exit(0 if outbox.drain(PATIENCE_SECONDS) else 1)


def _check(uri: str, num_processes: int, num_epochs: int) -> None:
    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT run_uuid, key, step FROM metrics")).all()
        (num_runs,) = connection.execute(sqlalchemy.text("SELECT COUNT(*) FROM runs")).one()
    engine.dispose()
    runs, keys = {row[0] for row in rows}, {row[1] for row in rows}
    expected = {(run, key, step) for run in runs for key in keys for step in range(1, num_epochs + 1)}
    assert num_runs == len(runs) == num_processes, f"{num_runs} runs, {len(runs)} of them with metrics"
    assert len(keys) > 10
    assert len(rows) == len(set(rows)), "a metric is there twice"
    assert {tuple(row) for row in rows} == expected, "a metric is missing"


if __name__ == "__main__":
    main()
