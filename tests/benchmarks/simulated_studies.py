"""What a study of many trials costs its driver: sampling, recording and early stopping, with tabulated curves
in place of training.

    python tests/benchmarks/simulated_studies.py --trials 1000 10000 --samplers random tpe --rule asha

Each study goes through its record and its rule as a real one does, without Ray, MLflow and training, in a
process of its own. Prints one JSON line for each: seconds in all, milliseconds of a trial, and by how many MB
the process grew at most after its 100th trial.
"""

import argparse
import json
import math
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import zlib
from pathlib import Path

from search_spaces.named import find_space
from search_spaces.space import Point
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.groups import group_at
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler

NUM_WARM = 100
"""Trials after which the process has loaded all that it needs."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"])
    parser.add_argument("--rule", default="asha", help="asha, asha_pause, hyperband, median or none")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--slots", type=int, default=4, help="trials at once")
    parser.add_argument("--space", default="fine_tuning")
    arguments = parser.parse_args()
    for sampler in arguments.samplers:
        for num_trials in arguments.trials:
            settings = (
                num_trials,
                sampler,
                arguments.rule,
                arguments.epochs,
                arguments.slots,
                arguments.space,
            )
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(json.dumps(pool.apply(measure, settings)), flush=True)


def measure(
    num_trials: int, sampler: str, rule: str, num_epochs: int, num_slots: int, space: str
) -> dict[str, object]:
    """Runs one study and says what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        study = SimulatedStudy(
            make_record(Path(folder), sampler),
            EarlyStopping.model_validate({"rule": rule}),
            space,
            num_epochs,
        )
        begun = time.perf_counter()
        study.run(num_trials, num_slots)
        seconds = time.perf_counter() - begun
    return {
        "trials": num_trials,
        "sampler": sampler,
        "rule": rule,
        "seconds": round(seconds, 2),
        "ms_per_trial": round(1000 * seconds / num_trials, 2),
        "ms_per_trial_sampling": round(1000 * study.seconds_asking / num_trials, 2),
        "ms_per_trial_judging": round(1000 * study.seconds_judging / num_trials, 2),
        "epochs": study.num_reports,
        "memory_growth_mb": round(peak_mb() - study.warm_mb, 1),
        "best": study.best,
    }


def make_record(folder: Path, sampler: str) -> StudyRecord:
    return StudyRecord.create(
        folder, "simulated", objectives=(Objective(),), sampler=Sampler.model_validate({"rule": sampler})
    )


class SimulatedStudy:
    """A search whose trials report from a table; what runs at once takes turns, an epoch each."""

    def __init__(
        self, record: StudyRecord, early_stopping: EarlyStopping, space: str, num_epochs: int
    ) -> None:
        self.num_reports = 0
        self.seconds_asking = self.seconds_judging = 0.0
        self.warm_mb = 0.0
        self.best: float | None = None
        self._record = record
        self._rule = build_rules(early_stopping, maximise=True)
        self._space = find_space(space)
        self._num_epochs = num_epochs
        self._points: dict[int, Point] = {}
        """Of trials that have not ended."""
        self._epochs: dict[int, int] = {}
        """Last epoch of the same."""
        self._running: list[int] = []
        self._paused: set[int] = set()
        self._num_asked = 0

    def run(self, num_trials: int, num_slots: int) -> None:
        """Starts trials until there are `num_trials`, and goes on until none runs or may go on."""
        while self._fill(num_trials, num_slots):
            for trial in list(self._running):
                self._pass_epoch(trial)
        for trial in sorted(self._paused):
            self._end(trial, "pruned")
        best = self._record.best()
        self.best = None if best is None or best.value is None else round(best.value, 4)

    def _fill(self, num_trials: int, num_slots: int) -> bool:
        while len(self._running) < num_slots:
            is_closing = self._num_asked == num_trials and not self._running
            promoted = self._rule.trial_to_unpause(self._paused, is_closing=is_closing)
            if promoted is not None:
                self._paused.discard(promoted)
                self._record.unpause(promoted)
                self._running.append(promoted)
            elif self._num_asked < num_trials:
                self._ask()
            else:
                break
        return bool(self._running)

    def _ask(self) -> None:
        begun = time.perf_counter()
        asked = self._record.ask(self._space, seed=0)
        self.seconds_asking += time.perf_counter() - begun
        assert asked is not None, "the space is too small"
        number, self._points[asked[0]] = asked
        self._epochs[number] = 0
        self._running.append(number)
        self._num_asked += 1
        if self._num_asked == NUM_WARM:
            self.warm_mb = peak_mb()

    def _pass_epoch(self, number: int) -> None:
        self._epochs[number] += 1
        epoch, point = self._epochs[number], self._points[number]
        value = tabulated(point, epoch, self._num_epochs)
        self._record.report(
            number,
            EpochReport(epoch=epoch, value=value, metrics={"macro_f1": value}, seconds=1.0, run_id=None),
        )
        self.num_reports += 1
        begun = time.perf_counter()
        decision = self._rule.on_epoch(
            number, epoch, self._num_epochs, value, group_at(point, epoch, self._num_epochs)
        )
        self.seconds_judging += time.perf_counter() - begun
        if epoch == self._num_epochs:
            self._end(number, "complete")
        elif decision.action == "stop":
            self._end(number, "pruned", decision.reason)
        elif decision.action == "pause":
            self._record.pause(number)
            self._running.remove(number)
            self._paused.add(number)

    def _end(self, number: int, state: str, reason: str | None = None) -> None:
        self._record.finish(number, "complete" if state == "complete" else "pruned", reason)
        if number in self._running:
            self._running.remove(number)
        del self._points[number], self._epochs[number]


def tabulated(point: Point, epoch: int, num_epochs: int) -> float:
    """A learning curve that follows from the point alone: rates near 3e-4 learn best, small ones late; the
    rest is chance.
    """
    chance = random.Random(zlib.crc32(repr(sorted(point.items())).encode()))
    rate = math.log10(float(point["learning_rate"]))
    ceiling = 0.9 - 0.05 * (rate + 3.5) ** 2 + 0.05 * chance.gauss(0, 1)
    speed = 10 ** (0.4 * (rate + 3.5) + 0.2 * chance.gauss(0, 1))
    noise = random.Random(chance.randrange(2**31) + epoch).gauss(0, 0.01)
    return min(max(ceiling * (1 - math.exp(-6 * speed * epoch / num_epochs)) + noise, 0.0), 1.0)


def peak_mb() -> float:
    """The most memory that this process has had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


if __name__ == "__main__":
    main()
