"""A cluster of 64 nodes with a thousand trials at once, simulated: real queue, real courses and records,
tabulated trials, a fake clock.

    python tests/benchmarks/simulated_cluster.py --nodes 64 --cpus 16 --studies 8 --users 4 --trials 1000
    python tests/benchmarks/simulated_cluster.py --mlflow http://127.0.0.1:5000

What is simulated is the cluster: no Ray process runs, nothing trains and nothing travels. What is real is all
that a study's driver decides and writes (samplers, early stopping, its journal) and what the queue computes;
each driver's work is timed alone, as each has a process of its own. Prints one JSON line. With `--mlflow`,
real trials' logs go to a real MLflow server instead, and its requests are counted.
"""

import argparse
import heapq
import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "study"))
from failing_proxy import FailingProxy
from run_records import context
from run_records import epoch as reported
from tabulated_search import epoch, make

from cluster.fair_share import Demand
from cluster.slot_queue import RENEWAL_SECONDS, SlotQueue
from study.connections.mlflow_client import connect
from study.recipes.point import build_recipe
from study.search.record.trial_protocol import TrialConfig
from study.search.trial_scheduler import TrialScheduler
from study.tracking.outbox import Outbox
from study.tracking.trial_run import TrialRun
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

EPOCHS = 9
EPOCH_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--cpus", type=int, default=16, help="of a node; a trial takes one")
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--trials", type=int, default=1000, help="of each study")
    parser.add_argument("--rule", default="asha")
    parser.add_argument("--mlflow", help="count the requests of trials to this server instead")
    arguments = parser.parse_args()
    if arguments.mlflow:
        print(json.dumps(count_requests(arguments.mlflow)))
        return
    with tempfile.TemporaryDirectory() as folder:
        drivers = [
            Driver(
                f"study-{number}",
                f"user-{number % arguments.users}",
                Path(folder),
                arguments.trials,
                arguments.rule,
            )
            for number in range(arguments.studies)
        ]
        print(json.dumps(simulate(drivers, arguments.nodes * arguments.cpus)))


@dataclass
class Driver:
    """One study, and what its process has spent."""

    study: str
    user: str
    folder: Path
    trials: int
    rule: str
    scheduler: TrialScheduler = field(init=False)
    running: int = 0
    granted: int = 0
    wants_more: bool = True
    num_ended: int = 0
    seconds: float = 0.0
    """Of work, on this machine."""
    trial_seconds: float = 0.0
    """Of its trials, on the fake clock, while all studies want more."""

    def __post_init__(self) -> None:
        folder = self.folder / self.study
        folder.mkdir()
        self.scheduler = make(folder, rule=self.rule, epochs=EPOCHS, trials=self.trials)

    def start(self, slots: int) -> list[TrialConfig]:
        """Trials that begin now: as many as were granted, in at most so many free slots."""
        begun, begin = [], time.perf_counter()
        while self.running < self.granted and len(begun) < slots:
            chosen = self.scheduler.next_trial()
            self.wants_more = chosen is not None
            if chosen is None:
                break
            self.running += 1
            begun.append(chosen)
        self.seconds += time.perf_counter() - begin
        return begun

    def judge(self, chosen: TrialConfig, number: int) -> bool:
        """Whether the trial goes on after an epoch."""
        begin = time.perf_counter()
        goes_on = self.scheduler.on_trial_result(chosen.number, epoch(chosen, number, epochs=EPOCHS))
        self.seconds += time.perf_counter() - begin
        self.running -= not goes_on
        self.num_ended += not goes_on
        return goes_on


class Clock:
    """Tells the fake time."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(drivers: list[Driver], cpus: int) -> dict[str, object]:
    """Runs all studies to their ends."""
    clock = Clock()
    queue, before = SlotQueue(clock=clock), peak_mb()
    queue_seconds, num_renewals, most, results = 0.0, 0, 0, 0
    ends: list[tuple[float, int, int, TrialConfig, int]] = []
    while any(not driver.scheduler.is_over for driver in drivers):
        is_contended = all(driver.wants_more for driver in drivers)
        for driver in drivers if num_renewals else drivers * 2:  # all are known before the first one starts
            begin = time.perf_counter()
            wants = cpus if driver.wants_more else max(driver.running, 1)
            demand = Demand(
                tenant=driver.study,
                user=driver.user,
                priority=0,
                num_slots=wants,
                cpus_per_slot=1.0,
                gpus_per_slot=0.0,
            )
            driver.granted, _ = queue.renew(float(cpus), 0.0, asdict(demand), driver.running)
            queue_seconds += time.perf_counter() - begin
            num_renewals += 1
        for index, driver in enumerate(drivers):
            for chosen in driver.start(cpus - sum(one.running for one in drivers)):
                heapq.heappush(ends, (clock.now + duration(chosen), index, chosen.number, chosen, 1))
        most = max(most, sum(driver.running for driver in drivers))
        for driver in drivers:
            driver.trial_seconds += driver.running * RENEWAL_SECONDS * is_contended
        clock.now += RENEWAL_SECONDS
        while ends and ends[0][0] <= clock.now:
            moment, index, number, chosen, epochs = heapq.heappop(ends)
            results += 1
            if drivers[index].on_trial_result(chosen, epochs):
                heapq.heappush(ends, (moment + duration(chosen), index, number, chosen, epochs + 1))
    slowest = max(drivers, key=lambda driver: driver.seconds)
    contended = sum(driver.trial_seconds for driver in drivers)
    shares = [driver.trial_seconds / contended for driver in drivers]
    return {
        "slots": cpus,
        "most_trials_at_once": most,
        "studies": len(drivers),
        "trials": sum(driver.num_ended for driver in drivers),
        "epochs": results,
        "hours_of_the_cluster": round(clock.now / 3600, 2),
        "trials_per_second_of_a_driver": round(slowest.num_ended / slowest.seconds, 1),
        "epochs_per_second_of_a_driver": round(results / len(drivers) / slowest.seconds, 1),
        "epochs_per_second_that_come": round(most / EPOCH_SECONDS / len(drivers), 1),
        "memory_growth_mb_of_a_driver": round((peak_mb() - before) / len(drivers), 1),
        "ms_per_renewal_of_the_queue": round(1000 * queue_seconds / num_renewals, 2),
        "smallest_and_largest_share": [round(min(shares), 3), round(max(shares), 3)],
    }


def duration(chosen: TrialConfig) -> float:
    """Seconds of one epoch, by the configuration alone."""
    return EPOCH_SECONDS * (0.5 if chosen.point["batch_size"] == 64 else 1.5)


def count_requests(tracking_uri: str, num_trials: int = 5) -> dict[str, object]:
    """Requests to MLflow of trials that one process logs after another, pictures included."""
    parts = urlsplit(tracking_uri)
    proxy, client = FailingProxy(parts.hostname or "", parts.port or 80), connect(tracking_uri)
    experiment = client.create_experiment(f"requests-{time.time():.0f}")
    parent = client.create_run(experiment).info.run_id
    with tempfile.TemporaryDirectory() as folder:
        manifest = add_dataset(Path(folder) / "datasets", "digits", None, AddOptions())
        told = context(Path(folder), proxy.address, experiment, parent_run_id=parent)
        outbox = Outbox(told.tracking_uri).start()
        for number in range(num_trials):
            point = {"architecture": "cnn2-32x64", "learning_rate": 0.001 * (number + 1)}
            run = TrialRun(outbox, told, number, is_first=True)
            run.open()
            run.describe(
                point, build_recipe(point, dataset=manifest, epochs=EPOCHS, seed=number), manifest, "cpu"
            )
            for one in range(1, EPOCHS + 1):
                run.log_epoch(reported(one), reported(one).metrics.accuracy, {})
                outbox.drain(60.0)  # as between epochs that take longer than a request
            run.complete()
            run.log_pictures()
            outbox.drain(60.0)
    proxy.close()
    return {"trials": num_trials, "epochs": EPOCHS, "requests_per_trial": proxy.num_requests / num_trials}


def peak_mb() -> float:
    """The most memory that this process has had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


if __name__ == "__main__":
    main()
