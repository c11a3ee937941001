"""A table of real trainings, on which searches are compared without training: configurations drawn from the
named spaces, each with the full curve of all metrics and with its seconds.

    python tests/benchmarks/learning_curves.py make --data DATA --weights FILE --work FOLDER --workers 2
    python tests/benchmarks/learning_curves.py write --work FOLDER

`make` trains what `curves/tasks.yaml` lists and what FOLDER lacks, so an interrupted run goes on. DATA holds
`fer2013/train.parquet` and `validation.parquet`, `fashion_mnist/train.parquet` and `test.parquet`, and
`notmnist/all.parquet`, in the image convention of Hugging Face. FILE is a state dict of torchvision's
ResNet-18; its name stands in the table as `imagenet`. `write` joins everything into `curves/curves.parquet`.

Each configuration trains on one thread, and its seconds are those of processor time, so a busy machine makes
nearly the same table. A training that diverged has the epochs before, or one without numbers. The first
configurations of each task are trained with a second seed, too: their difference is the noise.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from study.planning.plan import study_space
from study.recipes.point import build_recipe
from study.search.sampling.coordinates import random_point
from study.study_file.study_spec import StudySpec
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.whole_lines import append_line, whole_lines

FOLDER = Path(__file__).parent / "curves"
TASKS, TABLE = FOLDER / "tasks.yaml", FOLDER / "curves.parquet"
NUM_REPEATED = 12
"""Configurations of each task with a second seed."""
DRAW_SEED = 2026
TRAININGS = "trainings.jsonl"
"""In the folder of the work: a line for each training."""
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "kappa", "worst_class_recall")
MEASURED = (*METRICS, "train_loss", "train_seconds", "validation_seconds")
"""Columns of an epoch."""
SUBSETS: Mapping[str, tuple[str, Mapping[str, tuple[str, int]], int]] = {
    "faces": ("fer2013", {"train": ("train", 1400), "validation": ("validation", 700)}, 24),
    "clothes": ("fashion_mnist", {"train": ("train", 1200), "validation": ("test", 600)}, 16),
    "letters": ("notmnist", {"train": ("all", 1900)}, 16),
}
"""Of each dataset: folder, split → file and number of images, and the side of the images in pixels."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One configuration of a task with one seed."""

    task: str
    number: int
    seed: int


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    make = actions.add_parser("make")
    make.add_argument("--data", type=Path, required=True)
    make.add_argument("--weights", type=Path, required=True)
    make.add_argument("--work", type=Path, required=True)
    make.add_argument("--workers", type=int, default=2)
    actions.add_parser("write").add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.action == "make":
        make_all(arguments.data, arguments.weights.absolute(), arguments.work, arguments.workers)
    else:
        write(arguments.work)


def make_all(data: Path, weights: Path, work: Path, num_workers: int) -> None:
    """Trains what is missing."""
    work.mkdir(parents=True, exist_ok=True)
    add_datasets(data, work)
    done = {(one["task"], one["number"], one["seed"]) for one in trained(work)}
    missing = [one for one in all_trainings() if (one.task, one.number, one.seed) not in done]
    print(f"{len(done)} trainings are there, {len(missing)} are to do", flush=True)
    begun = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(num_workers, prepare_worker) as pool:
        jobs = [(one, work, weights) for one in missing]
        for count, row in enumerate(pool.imap_unordered(train_one, jobs), 1):
            append_line(work / TRAININGS, json.dumps(row))
            left = (time.monotonic() - begun) / count * (len(missing) - count)
            best = max((epoch["accuracy"] for epoch in row["epochs"]), default=float("nan"))
            print(
                f"{count}/{len(missing)}  {row['task']} {row['number']} seed {row['seed']}  {row['state']}  "
                f"accuracy {best:.3f}  about {left / 60:.0f} min left",
                flush=True,
            )


def add_datasets(data: Path, work: Path) -> None:
    """The reduced datasets, in `work`/datasets."""
    home = work / "datasets"
    for name, (folder, splits, side) in SUBSETS.items():
        if (home / name).exists():
            continue
        source = work / "sources" / name
        source.mkdir(parents=True, exist_ok=True)
        for split, (file, num_images) in splits.items():
            table = pq.read_table(data / folder / f"{file}.parquet")
            rows = np.sort(np.random.default_rng(0).choice(len(table), num_images, replace=False))
            pq.write_table(table.take(rows), source / f"{split}.parquet")
        fractions = {} if "validation" in splits else {"validation_fraction": 1 / 3}
        add_dataset(home, name, source, AddOptions(image_size=side, test_fraction=0.05, **fractions))


def all_trainings() -> list[Training]:
    """Of all tasks, in turns, so that a table that was cut short is one of all tasks."""
    specs = tasks()
    longest = max(spec.budget.trials or 0 for spec in specs.values())
    seeds = [(number, 0) for number in range(longest)]
    seeds += [(number, 1) for number in range(NUM_REPEATED)]
    return [
        Training(task=name, number=number, seed=seed)
        for number, seed in seeds
        for name, spec in specs.items()
        if number < (spec.budget.trials or 0)
    ]


def tasks() -> dict[str, StudySpec]:
    """The tasks by name."""
    trees = yaml.safe_load(TASKS.read_text(encoding="utf-8"))
    return {tree["study"]: StudySpec.parse(tree) for tree in trees}


def prepare_worker() -> None:
    """One thread for each process, behind all other work of the machine."""
    import torch

    torch.set_num_threads(1)
    os.nice(10)


def train_one(job: tuple[Training, Path, Path]) -> dict[str, Any]:
    """Trains one configuration to its end, or until it diverges."""
    from trainables.datasets.dataset import Dataset
    from trainables.errors import DivergedError
    from trainables.training.loop import Training as Loop

    training, work, weights = job
    spec = tasks()[training.task]
    dataset = Dataset.open(work / "datasets" / spec.dataset)
    point = random_point(study_space(spec), (DRAW_SEED, training.number))
    own = {**point, "weights": str(weights)} if point.get("weights") == "imagenet" else point
    recipe = build_recipe(own, dataset=dataset.manifest, epochs=spec.budget.epochs, seed=training.seed)
    row = {**asdict(training), "point": dict(point), "epochs": (epochs := []), "state": "complete"}
    last = time.process_time()
    try:
        for epoch in Loop(recipe, dataset):
            now = time.process_time()
            share = epoch.train_seconds / (epoch.train_seconds + epoch.validation_seconds)
            epochs.append(
                {
                    **{name: round(float(getattr(epoch.metrics, name)), 5) for name in METRICS},
                    "train_loss": round(epoch.train_loss, 5),
                    "train_seconds": round(share * (now - last), 4),
                    "validation_seconds": round((1 - share) * (now - last), 4),
                }
            )
            last = now
    except DivergedError:
        row["state"] = "diverged"
    return row


def trained(work: Path) -> Iterator[dict[str, Any]]:
    """What was trained so far."""
    return map(json.loads, whole_lines(work / TRAININGS))


def write(work: Path) -> None:
    """Writes the table: a row for each epoch."""
    rows = sorted(trained(work), key=lambda one: (one["task"], one["number"], one["seed"]))
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for number, epoch in enumerate(row["epochs"] or [dict.fromkeys(MEASURED, math.nan)], 1):
            place = {name: row[name] for name in ("task", "number", "seed", "state")}
            point = {"point": json.dumps(row["point"]), "epoch": number}
            for name, value in {**place, **point, **epoch}.items():
                columns.setdefault(name, []).append(value)
    FOLDER.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), TABLE, compression="zstd")
    print(f"{TABLE}: {len(rows)} trainings, {TABLE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
