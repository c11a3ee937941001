"""A whole study on real images, timed as `plain_tune.py` times its own: same network, images, trials and
epochs.

    python tests/benchmarks/study_speed.py --data fer2013-parquet --trials 8 --epochs 3
    python tests/benchmarks/study_speed.py --data fer2013-parquet --trials 8 --epochs 3 --rounds 3

`--data` is a folder with train.parquet and validation.parquet in Hugging Face's image convention. Prints one
JSON line with the keys of `plain_tune.py`; the seconds are those of the search, as there. With `--rounds` the
two take turns, and the last lines say how many times as fast the study is: a table and JSON, by the seconds
of the search and by those of the whole commands. The machine should be idle.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from study.driver.running import run_study
from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--train-images", type=int, default=4000)
    parser.add_argument("--val-images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=0, help="in each of which plain_tune.py runs, too")
    arguments = parser.parse_args()
    if arguments.rounds:
        compare(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        # A tenth is carved for the sealed test split, which plain_tune.py does not have.
        subset(arguments.data, "train", round(arguments.train_images / 0.9), Path(folder))
        subset(arguments.data, "validation", arguments.val_images, Path(folder))
        add_dataset(home.datasets, "faces", Path(folder) / "source", AddOptions())
        result = run_study(spec(arguments.trials, arguments.epochs), home=home)
    values = [trial.value or 0.0 for trial in result.trials]
    timings = {
        "seconds": round(result.seconds, 1),
        "seconds_per_trial": round(result.seconds / arguments.trials, 2),
    }
    print(json.dumps({"trials": arguments.trials, **timings, "best_val_accuracy": max(values)}))


@dataclass(frozen=True)
class Timed:
    """One run of one of the two."""

    search_seconds: float
    command_seconds: float
    best: float
    """Validation accuracy."""


def compare(arguments: argparse.Namespace) -> None:
    """Lets both run in turn, in processes of their own."""
    scripts = {"study": Path(__file__), "plain": Path(__file__).with_name("plain_tune.py")}
    timed: dict[str, list[Timed]] = {name: [] for name in scripts}
    for _ in range(arguments.rounds):
        for name, script in scripts.items():
            one = run(script, arguments)
            timed[name].append(one)
            print(f"{name}: {one.search_seconds:.1f} s, command {one.command_seconds:.1f} s", flush=True)
    pairs = list(zip(timed["study"], timed["plain"], strict=True))
    ratios = {
        "search": ratio([(own.search_seconds, plain.search_seconds) for own, plain in pairs]),
        "command": ratio([(own.command_seconds, plain.command_seconds) for own, plain in pairs]),
    }
    print("\n| seconds of | times as fast | least | most |\n| --- | --- | --- | --- |")
    for name, found in ratios.items():
        print(f"| {name} | {found['median']} | {found['least']} | {found['most']} |")
    print(json.dumps({"rounds": arguments.rounds, **ratios}))


def run(script: Path, arguments: argparse.Namespace) -> Timed:
    options = {
        "--data": arguments.data,
        "--trials": arguments.trials,
        "--epochs": arguments.epochs,
        "--train-images": arguments.train_images,
        "--val-images": arguments.val_images,
    }
    words = [str(word) for option in options.items() for word in option]
    begun = time.monotonic()
    command = [sys.executable, str(script), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.monotonic() - begun
    told = json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))
    return Timed(search_seconds=told["seconds"], command_seconds=seconds, best=told["best_val_accuracy"])


def ratio(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """How many times as fast the first of each pair is."""
    each = [plain / own for own, plain in pairs]
    return {
        "median": round(statistics.median(each), 2),
        "least": round(min(each), 2),
        "most": round(max(each), 2),
    }


def subset(data: Path, split: str, num_images: int, folder: Path) -> None:
    table = pq.read_table(data / f"{split}.parquet")
    chosen = np.random.default_rng(0).permutation(len(table))[:num_images]
    (folder / "source").mkdir(exist_ok=True)
    pq.write_table(table.take(np.sort(chosen)), folder / "source" / f"{split}.parquet")


def spec(num_trials: int, num_epochs: int) -> dict[str, object]:
    return {
        "study": "speed",
        "dataset": "faces",
        "search_space": "from_scratch",
        "fix": {
            "architecture": "cnn4-32x256",
            "optimizer": "adam",
            "weight_decay": 0.0,
            "schedule": "constant",
            "warmup_fraction": 0.0,
            "batch_size": 64,
            "class_weight_power": 0.0,
            "label_smoothing": 0.0,
            "flip_probability": 0.5,
            "dropout": 0.5,
        },
        "objective": {"metric": "accuracy"},
        "budget": {"trials": num_trials, "epochs": num_epochs},
        "early_stopping": "none",
    }


if __name__ == "__main__":
    main()
