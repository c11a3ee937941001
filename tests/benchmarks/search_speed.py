"""How soon TPE with early stopping reaches what 16 random full-length trials reach, on real images.

    python tests/benchmarks/search_speed.py --data fer2013-parquet --seeds 3

`--data` is as for `study_speed.py`. For each seed a random study trains all its trials to their end, one at a
time; then for each rule of early stopping a study with TPE, all else equal, runs until a trial has the best
value of the random one. Compared are the seconds of training and validating, and the epochs, which other
processes on the machine cannot disturb. Prints one JSON line a seed and rule, then the medians. With `--home`
the studies stay there, and those that ended are read, not repeated.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study_speed import subset

from study.driver.running import resume_study, run_study
from study.home import Home
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--early-stopping", nargs="+", default=["asha", "asha_pause"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-images", type=int, default=3000)
    parser.add_argument("--val-images", type=int, default=1500)
    parser.add_argument("--size", type=int, default=32)
    arguments = parser.parse_args()
    with _home(arguments.home) as home:
        if not home.datasets.exists():
            _add_faces(home, arguments)
        for rule in arguments.early_stopping:
            compared = [
                compare(home, seed, arguments.trials, arguments.epochs, rule)
                for seed in range(arguments.seeds)
            ]
            medians = {
                key: round(statistics.median(one[key] for one in compared), 3)
                for key in ("share_of_seconds", "share_of_epochs")
            }
            print(json.dumps({"early_stopping": rule, "seeds": arguments.seeds, **medians}), flush=True)


def compare(home: Home, seed: int, trials: int, epochs: int, rule: str) -> dict[str, float]:
    """Runs both studies of one seed; shares are those of the random study's whole cost."""
    random = _ended(
        home, spec(f"random-{seed}", seed, trials, epochs, sampler="random", early_stopping="none")
    )
    target = max(value for trial in random.trials for value in trial.values.values())
    # More trials than are needed, so that it is the target that ends the study.
    limits = {"target": target, "total_epochs": 2 * trials * epochs}
    sought = _ended(
        home, spec(f"{rule}-{seed}", seed, 8 * trials, epochs, sampler="tpe", early_stopping=rule, **limits)
    )
    seconds, spent = cost_to_reach(sought, target)
    whole_seconds, whole_epochs = cost_to_reach(random, float("inf"))
    compared = {
        "seed": seed,
        "best_of_random": round(target, 4),
        "seconds": round(seconds, 1),
        "seconds_random": round(whole_seconds, 1),
        "share_of_seconds": round(seconds / whole_seconds, 3),
        "share_of_epochs": round(spent / whole_epochs, 3),
    }
    print(json.dumps({"early_stopping": rule, **compared}), flush=True)
    return compared


def cost_to_reach(result: StudyResult, target: float) -> tuple[float, int]:
    """Seconds and epochs of all trials until one had `target`; of the whole study where none had it.

    The trial that has it counts up to that epoch; where trials paused, the others count with all that they
    were trained by then and later, so that the cost is never told too low.
    """
    reached = next(
        (trial for trial in result.trials if any(value >= target for value in trial.values.values())), None
    )
    last = (
        reached.number
        if reached is not None and result.spec.early_stopping.rule != "asha_pause"
        else len(result.trials)
    )
    others = [
        trial for trial in result.trials[: last + 1] if reached is None or trial.number != reached.number
    ]
    seconds, epochs = sum(trial.seconds for trial in others), sum(len(trial.values) for trial in others)
    if reached is None:
        return seconds, epochs
    done = next(index for index, value in enumerate(reached.values.values(), start=1) if value >= target)
    return seconds + reached.seconds * done / len(reached.values), epochs + done


def spec(
    name: str, seed: int, trials: int, epochs: int, *, sampler: str, early_stopping: str, **budget: float
) -> dict[str, object]:
    return {
        "study": name,
        "dataset": "faces",
        "search_space": "from_scratch",
        "fix": {"architecture": "cnn4-32x64", "flip_probability": 0.5},
        "objective": {"metric": "accuracy"},
        "budget": {"trials": trials, "epochs": epochs, **budget},
        "sampler": sampler,
        "early_stopping": early_stopping,
        "resources": {"max_concurrent": 1},
        "seed": seed,
    }


def _ended(home: Home, wanted: dict[str, object]) -> StudyResult:
    name = str(wanted["study"])
    return resume_study(name, home=home) if (home.studies / name).exists() else run_study(wanted, home=home)


@contextmanager
def _home(folder: Path | None) -> Iterator[Home]:
    if folder is not None:
        yield Home(folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Home(Path(scratch))


def _add_faces(home: Home, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # A tenth is carved for the sealed test split.
        subset(arguments.data, "train", round(arguments.train_images / 0.9), Path(folder))
        subset(arguments.data, "validation", arguments.val_images, Path(folder))
        add_dataset(home.datasets, "faces", Path(folder) / "source", AddOptions(image_size=arguments.size))


if __name__ == "__main__":
    main()
