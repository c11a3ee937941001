"""Searches compared on a table of learning curves, through the product's own scheduler, samplers and rules.

    python tests/benchmarks/search_on_curves.py --searches random/none tpe/asha tpe/asha_pause --slots 1 8
    python tests/benchmarks/search_on_curves.py --error

A search is SAMPLER/RULE. Trials that run at once take as long as the table says, on a clock of their own.
Prints one JSON line for each task, search and number of slots, over `--seeds` seeds:

- `epochs_share`: epochs until the search has a configuration as good as the best of 16 random trials, of the
  epochs of these 16 (median; 1 where it does not get there)
- `seconds_share`: the same of seconds
- `epochs`: of the whole search (median)
- `regret`: how far the best configuration of the whole search is below the best of the task, in points
- `curve`: the regret after 10, 20, … 100 % of the seconds that 40 random trials take in full
"""

import argparse
import heapq
import json
import multiprocessing
import statistics
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from curve_surrogate import Surrogate, held_out_errors, read_task
from learning_curves import TABLE, tasks

from search_spaces.space import Point, SearchSpace
from study.planning.plan import study_space
from study.search.limits import Limits
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.sampling.coordinates import random_point
from study.search.trial_scheduler import TrialScheduler
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.study_file.budget import Budget
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler

METRIC = "accuracy"
NUM_RANDOM = 16
NUM_POINTS = 3000
"""Random configurations, of which the best by the surrogate is the best of a task."""
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of the table with its surrogate."""

    space: SearchSpace
    epochs: int
    surrogate: Surrogate
    best: float
    sixteen: float
    """The best of 16 random trials, in the median."""
    trial_seconds: float
    """Of a random configuration, in the mean."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The best value of a search from a moment on."""

    seconds: float
    epochs: int
    value: float


def main() -> None:
    """Reads the command line, runs, and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=list(tasks()))
    parser.add_argument("--searches", nargs="+", default=["random/none", "tpe/asha", "tpe/asha_pause"])
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--error", action="store_true", help="print how good the surrogate is, and end")
    arguments = parser.parse_args()
    if not TABLE.exists():
        parser.error(f"there is no table {TABLE}: make it with learning_curves.py")
    if arguments.error:
        for name in arguments.tasks:
            print(json.dumps({"task": name, **_errors(name)}), flush=True)
        return
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for name in arguments.tasks:
            for search in arguments.searches:
                for slots in arguments.slots:
                    jobs = [(name, search, slots, arguments.trials, seed) for seed in range(arguments.seeds)]
                    found = pool.starmap(measure, jobs, chunksize=1)
                    medians = {
                        key: round(statistics.median(one[key] for one in found), 3)
                        for key in ("epochs_share", "seconds_share", "epochs", "regret")
                    }
                    curve = np.median([one["curve"] for one in found], axis=0).round(2).tolist()
                    line = {"task": name, "search": search, "slots": slots, **medians, "curve": curve}
                    print(json.dumps(line), flush=True)


def _errors(name: str) -> dict[str, float]:
    spec = tasks()[name]
    recorded = read_task(TABLE, name, METRIC, num_epochs=spec.budget.epochs)
    errors = held_out_errors(study_space(spec), recorded)
    again = read_task(TABLE, name, METRIC, num_epochs=spec.budget.epochs, seed=1)
    places = [recorded.points.index(point) for point in again.points]
    noise = np.abs(again.values_NE[:, -1] - recorded.values_NE[places, -1]).mean()
    numbers = {**errors, "mean_difference_of_seeds": float(noise)}
    return {"configurations": len(recorded.points), **{key: round(one, 4) for key, one in numbers.items()}}


@cache
def load_task(name: str) -> Task:
    """A task, once for each process."""
    spec = tasks()[name]
    space, epochs = study_space(spec), spec.budget.epochs
    surrogate = Surrogate(space, read_task(TABLE, name, METRIC, num_epochs=epochs))
    curves = [surrogate.curve(random_point(space, (7, number))) for number in range(NUM_POINTS)]
    values = np.array([values_E.max() for values_E, _ in curves])
    rows = values[: NUM_POINTS // NUM_RANDOM * NUM_RANDOM].reshape(-1, NUM_RANDOM)
    return Task(
        space=space,
        epochs=epochs,
        surrogate=surrogate,
        best=float(values.max()),
        sixteen=float(np.median(rows.max(axis=1))),
        trial_seconds=float(np.mean([seconds_E.sum() for _, seconds_E in curves])),
    )


def measure(name: str, search: str, slots: int, num_trials: int, seed: int) -> dict[str, float | list[float]]:
    """One search on one task."""
    task = load_task(name)
    steps, num_epochs = run(task, search, slots, num_trials, seed)
    reached = next((step for step in steps if step.value >= task.sixteen), None)
    sixteen_seconds = NUM_RANDOM * task.trial_seconds / min(slots, NUM_RANDOM)
    whole = num_trials * task.trial_seconds / slots
    curve = []
    for tenth in range(1, 11):
        seen = [step.value for step in steps if step.seconds <= whole * tenth / 10]
        curve.append(100 * (task.best - max(seen, default=0.0)))
    return {
        "epochs_share": 1.0 if reached is None else min(reached.epochs / (NUM_RANDOM * task.epochs), 1.0),
        "seconds_share": 1.0 if reached is None else min(reached.seconds / sixteen_seconds, 1.0),
        "regret": 100 * (task.best - steps[-1].value),
        "epochs": float(num_epochs),
        "curve": curve,
    }


def run(task: Task, search: str, slots: int, num_trials: int, seed: int) -> tuple[list[Step], int]:
    """The steps of a search's best value, and its epochs in all."""
    sampler, rule = search.split("/")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        record = StudyRecord.create(
            Path(folder),
            "simulated",
            objectives=(Objective.model_validate({"metric": METRIC}),),
            sampler=Sampler.model_validate({"rule": sampler}),
        )
        budget = Budget(trials=num_trials, epochs=task.epochs)
        scheduler = TrialScheduler(
            record=record,
            space=task.space,
            seed=seed,
            epochs=task.epochs,
            rules=build_rules(EarlyStopping.model_validate({"rule": rule}), maximise=True),
            limits=Limits.of(budget, record, maximise=True, gpus_per_trial=0.0),
            edits=lambda: (),
            retries=0,
        )
        scheduler.restore()
        return _course(task, scheduler, slots)


def _course(task: Task, scheduler: TrialScheduler, slots: int) -> tuple[list[Step], int]:
    """Lets trials run on a clock of their own: a heap of the moments at which epochs end."""
    now, num_epochs = 0.0, 0
    steps = [Step(seconds=0.0, epochs=0, value=0.0)]
    ending: list[tuple[float, int, int]] = []
    """Moment, trial, epoch."""
    points: dict[int, Point] = {}
    while not scheduler.is_over:
        while len(ending) < slots and (chosen := scheduler.next_trial()) is not None:
            points[chosen.number] = chosen.point
            epoch = scheduler.last_epoch(chosen.number) + 1
            heapq.heappush(ending, (now + _seconds(task, chosen, epoch), chosen.number, epoch))
        if not ending:
            break
        now, number, epoch = heapq.heappop(ending)
        values_E, seconds_E = task.surrogate.curve(points[number])
        value = float(values_E[epoch - 1])
        num_epochs += 1
        if value > steps[-1].value:
            steps.append(Step(seconds=now, epochs=num_epochs, value=value))
        report = TrialReport(
            state="complete" if epoch == task.epochs else "running",
            epoch=EpochReport(
                epoch=epoch, value=value, metrics={}, seconds=float(seconds_E[epoch - 1]), run_id=None
            ),
        )
        if scheduler.on_trial_result(number, report):
            heapq.heappush(ending, (now + float(seconds_E[epoch]), number, epoch + 1))
    scheduler.conclude()
    return steps, num_epochs


def _seconds(task: Task, chosen: TrialConfig, epoch: int) -> float:
    return float(task.surrogate.curve(chosen.point)[1][epoch - 1])


if __name__ == "__main__":
    main()
