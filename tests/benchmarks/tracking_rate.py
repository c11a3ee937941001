"""Epochs of many trials that reach a real MLflow server on a real PostgreSQL within seconds, at a rate that
one chooses.

    python tests/benchmarks/tracking_rate.py --rate 100 --seconds 60 --trials 100 --workers 4
    python tests/benchmarks/tracking_rate.py --rate 100 --servers 2 --workers 2
    python tests/benchmarks/tracking_rate.py --uri http://mlflow:5000 --database postgresql://USER@HOST/mlflow

What is simulated is the training. What is real is everything after it: each trial logs through its own
`TrialRun` and `Outbox`, as in a process of its own; here many of them are threads of few processes. Without
`--uri` it starts a PostgreSQL that writes to the disk at each commit, and MLflow servers before it.

Afterwards the database itself is asked: every row of every epoch must be there, none twice. Prints one JSON
line: the rate that was reached, the backlog (epochs that MLflow does not have yet), the lag (the age of the
oldest of them), requests a second, and what the servers took of the processors. Ends with 1 where a row
lacks, the lag went beyond `--lag`, or the trials themselves could not keep the rate.
"""

import argparse
import heapq
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg  # noqa: F401
import mlflow.store.tracking.rest_store  # noqa: F401
import psutil
import sqlalchemy

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "study"))
from mlflow_server import running_mlflow
from postgres_server import running_postgres
from run_records import context as study_context
from run_records import epoch

from study.connections.mlflow_client import connect
from study.planning.study_context import StudyContext
from study.recipes.point import build_recipe
from study.tracking.log_records import Measured
from study.tracking.outbox import Outbox
from study.tracking.run_log import logs_in
from study.tracking.trial_run import TrialRun
from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions

PATIENCE_SECONDS = 600.0
ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""What an outbox sets around each call: set for good here, as many outboxes share a process."""
POOL = 85
"""A worker process of MLflow answers 40 calls at once, and each that logs metrics holds two connections: with
its own 15 they all wait for a second one, for 30 s, and then fail."""
OF_MACHINE = {f"system/{name}": 50.0 for name in ("a", "b", "c", "d")}
SECONDS_BETWEEN_READINGS = 30.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is logged."""

    trials: int
    rate: float
    """Epochs a second of all trials together."""
    seconds: float
    processes: int

    @property
    def epochs(self) -> int:
        """Of each trial."""
        return max(round(self.rate * self.seconds / self.trials), 1)

    @property
    def epoch_seconds(self) -> float:
        return self.trials / self.rate


@dataclass
class Watched:
    """What was seen once a second."""

    backlogs: list[int] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=100, help="epochs a second, of all trials together")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--trials", type=int, default=100, help="an epoch of one takes trials / rate seconds")
    parser.add_argument("--processes", type=int, default=4, help="among which the trials are divided")
    parser.add_argument("--lag", type=float, default=20, help="the most seconds that MLflow may be behind")
    parser.add_argument(
        "--workers", type=int, default=4, help="processes of each MLflow server that is started"
    )
    parser.add_argument("--servers", type=int, default=1, help="MLflow servers that are started")
    parser.add_argument("--pool", type=int, default=POOL, help="connections that a worker process may have")
    parser.add_argument("--uri", action="append", help="an MLflow server that runs already")
    parser.add_argument("--database", help="the PostgreSQL of that server, which is asked afterwards")
    arguments = parser.parse_args()
    if (arguments.uri is None) != (arguments.database is None):
        parser.error("--uri and --database go together")
    load = Load(
        trials=arguments.trials,
        rate=arguments.rate,
        seconds=arguments.seconds,
        processes=arguments.processes,
    )
    os.environ.update(ONE_TRY)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        uris, database = arguments.uri, arguments.database
        if uris is None:
            uris, database = stack.enter_context(
                own_servers(folder, arguments.servers, arguments.workers, arguments.pool)
            )
        measured = log_at_rate(uris, database, folder, load)
    is_held = measured["lag_seconds"] <= arguments.lag and measured["epochs_a_second"] >= 0.95 * load.rate
    print(json.dumps({**measured, "is_held": is_held}))
    sys.exit(0 if is_held else 1)


@contextmanager
def own_servers(
    folder: Path, num_servers: int, num_workers: int, pool: int
) -> Iterator[tuple[list[str], str]]:
    """Addresses of MLflow servers, and of their one database."""
    with ExitStack() as stack:
        # A commit is on the disk; every worker gets its connections, and the tests theirs.
        most = str(num_servers * num_workers * pool + 20)
        settings = {"fsync": "on", "max_connections": most, "shared_buffers": "512MB"}
        database = stack.enter_context(running_postgres(settings)).new_database()
        environment = {
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(min(pool, 5)),
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(pool - min(pool, 5)),
        }
        artifacts = str(folder / "artifacts")
        ports = [
            stack.enter_context(running_mlflow(database, artifacts, environment, workers=num_workers))
            for _ in range(num_servers)
        ]
        yield [f"http://127.0.0.1:{port}" for port in ports], database


def log_at_rate(uris: Sequence[str], database: str, folder: Path, load: Load) -> dict[str, Any]:
    """What was measured. Raises AssertionError where MLflow lacks something or has it twice."""
    processors = Processors()
    add_dataset(folder / "datasets", "digits", None, AddOptions())
    # Forked, so that MLflow's seconds of import are spent once. Connections must not be forked, so all are
    # made by children.
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    context.Process(target=_create, args=(sending, uris[0])).start()
    experiment, parent = receiving.recv()
    ready, start = context.Semaphore(0), context.Event()
    children = []
    for number in range(load.processes):
        mine = [
            (trial, study_context(folder, uris[trial % len(uris)], experiment, parent_run_id=parent))
            for trial in range(number, load.trials, load.processes)
        ]
        receiving, sending = context.Pipe(duplex=False)
        child = context.Process(target=_log, args=(sending, ready, start, mine, load))
        child.start()
        sending.close()
        children.append((child, receiving))
    for _ in children:
        assert ready.acquire(timeout=PATIENCE_SECONDS), "the trials' runs could not be opened"
    processors.begin()
    start.set()
    with _watching(folder / "outbox") as watched:
        told = [receiving.recv() for _, receiving in children]
        seconds = processors.end()
    for child, _ in children:
        child.join(PATIENCE_SECONDS)
    assert [child.exitcode for child, _ in children] == [0] * load.processes, "an outbox did not become empty"
    num_epochs, num_requests = load.trials * load.epochs, sum(one["requests"] for one in told)
    logging_seconds = max(one["seconds"] for one in told)
    return {
        "trials": load.trials,
        "epochs": num_epochs,
        "epochs_a_second": round(num_epochs / logging_seconds, 1),
        "drained_after_seconds": round(seconds - logging_seconds, 1),
        "lag_seconds": round(max(watched.lags, default=0.0), 1),
        "median_lag_seconds": round(statistics.median(watched.lags or [0.0]), 1),
        "backlog_epochs": max(watched.backlogs, default=0),
        "requests_a_second": round(num_requests / seconds, 1),
        "troubles": dict(sum((Counter(one["troubles"]) for one in told), Counter[str]())),
        **in_the_database(database, experiment, load),
        **processors.told(num_requests),
    }


class Processors:
    """What the servers that this process started take of the machine's processors."""

    def __init__(self) -> None:
        self._mlflow = [one for one in _started() if not _is_postgres(one)]

    def begin(self) -> None:
        self._begun, self._all_before, self._before = time.monotonic(), psutil.cpu_times(), self._seconds()

    def end(self) -> float:
        """The seconds since the beginning."""
        self._all_after, self._after = psutil.cpu_times(), self._seconds()
        return time.monotonic() - self._begun

    def told(self, num_requests: int) -> dict[str, Any]:
        all_seconds = sum(map(float.__sub__, tuple(self._all_after), tuple(self._all_before)))
        return {
            "cpu_ms_of_a_request": {
                name: round(1000 * (self._after[name] - self._before[name]) / num_requests, 1)
                for name in self._before
            },
            "idle_share_of_processors": round(
                (self._all_after.idle - self._all_before.idle) / all_seconds, 2
            ),
        }

    def _seconds(self) -> dict[str, float]:
        # PostgreSQL has a process for each connection, and gets more of them under load.
        postgres = [one for one in _started() if _is_postgres(one)]
        return {"mlflow": _cpu_seconds(self._mlflow), "postgresql": _cpu_seconds(postgres)}


def _create(sending: Connection, uri: str) -> None:
    client = connect(uri)
    experiment = client.create_experiment(f"rate-{time.time():.0f}")
    sending.send((experiment, client.create_run(experiment).info.run_id))


def _log(
    sending: Connection, ready: Any, start: Any, trials: Sequence[tuple[int, StudyContext]], load: Load
) -> None:
    """A process with some of the trials: it opens their runs, and then logs each epoch when it is due."""
    outboxes, runs = [], []
    for number, told in trials:
        outbox = Outbox(told.tracking_uri).start()
        run = TrialRun(outbox, told, number, is_first=True)
        manifest = Manifest.read(Path(told.dataset_folder))
        point = {"architecture": "cnn2-32x64", "learning_rate": 0.001 * (number + 1)}
        recipe = build_recipe(point, dataset=manifest, epochs=load.epochs, seed=number)
        run.open()
        run.describe(point, recipe, manifest, "cpu")
        outboxes.append(outbox)
        runs.append(run)
    if not all(outbox.drain(PATIENCE_SECONDS) for outbox in outboxes):
        os._exit(1)
    opened = sum(outbox.num_sent for outbox in outboxes)
    ready.release()
    start.wait()
    begun = time.monotonic()
    # The trials do not run in step.
    due = [(number / load.trials * load.epoch_seconds, index, 1) for index, (number, _) in enumerate(trials)]
    heapq.heapify(due)
    readings = [-SECONDS_BETWEEN_READINGS] * len(runs)
    troubles: Counter[str] = Counter()
    while due:
        moment, index, step = heapq.heappop(due)
        troubles.update([outboxes[index].trouble or ""])
        time.sleep(max(begun + moment - time.monotonic(), 0.0))
        # Two of five epochs are the best so far.
        reported = epoch(step)
        best = reported.metrics.accuracy if step % 5 in (1, 3) else 0.0
        is_read = moment - readings[index] >= SECONDS_BETWEEN_READINGS
        readings[index] = moment if is_read else readings[index]
        runs[index].log_epoch(reported, best, OF_MACHINE if is_read else {})
        if step < load.epochs:
            heapq.heappush(due, (moment + load.epoch_seconds, index, step + 1))
    seconds = time.monotonic() - begun
    is_drained = all(outbox.drain(PATIENCE_SECONDS) for outbox in outboxes)
    sending.send(
        {
            "seconds": seconds,
            "requests": sum(outbox.num_sent for outbox in outboxes) - opened,
            "troubles": {trouble: seen for trouble, seen in troubles.items() if trouble},
        }
    )
    os._exit(0 if is_drained else 1)


@contextmanager
def _watching(folder: Path) -> Iterator[Watched]:
    """Looks once a second at what MLflow does not have yet."""
    watched, done = Watched(), threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            waiting = [
                record.milliseconds / 1000
                for log in logs_in(folder)
                for record, _ in log.read(log.sent.offset)
                if isinstance(record, Measured)
            ]
            watched.backlogs.append(len(waiting))
            watched.lags.append(time.time() - min(waiting) if waiting else 0.0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        done.set()
        thread.join()


def in_the_database(database: str, experiment: str, load: Load) -> dict[str, Any]:
    """Rows, bytes and connections. Raises AssertionError unless every epoch of every trial is there once."""
    engine = sqlalchemy.create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    query = (
        "SELECT m.run_uuid, m.key, COUNT(*), COUNT(DISTINCT m.step), MIN(m.step), MAX(m.step) FROM metrics m "
        "JOIN runs r ON r.run_uuid = m.run_uuid WHERE r.experiment_id = :experiment GROUP BY 1, 2"
    )
    sizes = (
        "SELECT pg_total_relation_size('metrics')::float / COUNT(*), (SELECT COUNT(*) FROM pg_stat_activity "
        "WHERE datname = current_database()) FROM metrics"
    )
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text(query), {"experiment": int(experiment)}).all()
        ((num_bytes, num_connections),) = connection.execute(sqlalchemy.text(sizes)).all()
    engine.dispose()
    assert all(count == distinct for _, _, count, distinct, _, _ in rows), "a row is there twice"
    for key in ("train/loss", "validation/accuracy", "best/accuracy"):
        found = [tuple(row[2:]) for row in rows if row[1] == key]
        whole = (load.epochs, load.epochs, 1, load.epochs)
        assert found == [whole] * load.trials, f"{key}: an epoch of a trial is missing"
    by_class = [row[2] for row in rows if row[1] == "within_class/recall/3"]
    expected = sum(step % 5 in (1, 3) for step in range(1, load.epochs + 1))
    assert by_class == [expected] * load.trials, "a metric of a class is missing"
    return {
        "rows_an_epoch": round(sum(row[2] for row in rows) / (load.trials * load.epochs), 1),
        "bytes_a_row": round(num_bytes),
        "connections": num_connections,
    }


def _started() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _is_postgres(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.name().startswith("postgres"))
    return False


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    seconds = 0.0
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:4])  # those of its processes that have ended, too
    return seconds


if __name__ == "__main__":
    main()
