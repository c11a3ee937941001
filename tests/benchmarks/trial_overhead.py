"""Seconds that a trial costs beyond its training and validating: starting on a reused process, MLflow, early
stopping.

    python tests/benchmarks/trial_overhead.py --trials 20 --epochs 3

Trials of the digits run one at a time, so that the time between the ends of two trials is the second one's.
The first trial, which also pays for the imports of its process, is left out. Prints one JSON line.
"""

import argparse
import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

from study.driver.running import run_study
from study.home import Home
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        overheads = trial_overheads(run(Path(folder), arguments.trials, arguments.epochs))
    print(
        json.dumps(
            {
                "trials": len(overheads),
                "overhead_seconds_median": round(statistics.median(overheads), 2),
                "overhead_seconds_mean": round(statistics.mean(overheads), 2),
                "overhead_seconds_max": round(max(overheads), 2),
            }
        )
    )


def run(folder: Path, num_trials: int, num_epochs: int) -> StudyResult:
    home = Home(folder)
    add_dataset(home.datasets, "digits", None, AddOptions())
    spec = {
        "study": "overhead",
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": num_trials, "epochs": num_epochs},
        "early_stopping": "none",
        "resources": {"max_concurrent": 1},
    }
    return run_study(spec, home=home)


def trial_overheads(result: StudyResult) -> list[float]:
    """For each trial but the first, seconds since the one before ended, less its own training and
    validating.
    """
    trials = sorted(result.trials, key=lambda trial: trial.ended or 0.0)
    return [
        (later.ended or 0.0) - (earlier.ended or 0.0) - later.seconds for earlier, later in pairwise(trials)
    ]


if __name__ == "__main__":
    main()
