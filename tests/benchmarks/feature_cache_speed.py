"""Frozen layers computed at each epoch, against their output computed once: an epoch of each, in turn.

    python tests/benchmarks/feature_cache_speed.py
    python tests/benchmarks/feature_cache_speed.py --sizes 224 --cuts 3 4 --images 300 --weights resnet18.pth

Trains the end of `--architecture` on made-up images, with a cut after each of `--cuts` stages (all stages:
the head alone), at each of `--sizes`. Prints a JSON line for each, and a table with the ratios, the most by
which logits differ, what is written to the disk, and the break-even: after so many epochs of one trial the
features have paid, and any further trial of the machine has them for nothing.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Findings, Manifest
from trainables.datasets.split import Split
from trainables.devices.device import device_name, find_device
from trainables.devices.threads import use_threads
from trainables.models.catalogue import find_architecture
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.epoch import Epoch
from trainables.training.loop import Training

NUM_CLASSES = 7
COLUMNS = "{:>5} {:>10} {:>9} {:>9} {:>7} {:>8} {:>8} {:>7} {:>9}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--weights", default="none", help="the path of a state dict")
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 224], help="of images, in px")
    parser.add_argument("--cuts", type=int, nargs="+", default=[3, 4], help="frozen stages")
    parser.add_argument("--images", type=int, default=1000, help="of training; a fifth more of validation")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each kind that are measured")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    use_threads(options.threads)
    measured = []
    for size in options.sizes:
        dataset = made_up(options, size)
        for cut in options.cuts:
            with tempfile.TemporaryDirectory() as cache:
                os.environ["STUDY_CACHE"] = cache
                measured.append(compared(options, dataset, size, cut))
            print(json.dumps(measured[-1]), flush=True)
    print()
    print(COLUMNS.format("size", "cut", "uncached", "cached", "ratio", "making", "disk", "even", "logits"))
    print(COLUMNS.format("px", "", "s/epoch", "s/epoch", "", "s", "MB", "epochs", "differ"))
    for one in measured:
        print(
            COLUMNS.format(
                one["size"],
                one["cut"],
                f"{one['uncached_seconds']:.2f}",
                f"{one['cached_seconds']:.3f}",
                f"{one['ratio']:.1f}",
                f"{one['making_seconds']:.1f}",
                f"{one['disk_bytes'] / 1e6:.1f}",
                f"{one['break_even_epochs']:.2f}",
                f"{one['most_difference']:.0e}",
            )
        )


def compared(options: argparse.Namespace, dataset: Dataset, size: int, cut: int) -> dict[str, Any]:
    """Epochs of both kinds in turn; the first of each is not counted: libraries choose their ways in it."""
    recipe = Recipe(
        data=Data(image_size=size),
        model=Model(architecture=options.architecture, weights=options.weights),
        phases=(Phase(epochs=options.rounds + 1, learning_rate=1e-3, freeze_depth=cut),),
        batch_size=options.batch,
    )
    kinds = {is_cached: Training(recipe, dataset, reuses_features=is_cached) for is_cached in (False, True)}
    epochs: dict[bool, list[Epoch]] = {False: [], True: []}
    for _ in range(options.rounds + 1):
        for is_cached, training in kinds.items():
            epochs[is_cached].append(next(iter(training)))
    uncached, cached = ([seconds(epoch) for epoch in epochs[kind][1:]] for kind in (False, True))
    making = seconds(epochs[True][0]) - median(cached)
    gained = median(uncached) - median(cached)
    logits = [training._validation_logits() for training in kinds.values()]
    use = kinds[True].feature_use
    assert use is not None
    assert use.is_of_training
    return {
        "architecture": options.architecture,
        "size": size,
        "cut": "head alone" if cut == find_architecture(options.architecture).num_stages else f"layer{cut}",
        "images": len(dataset.train),
        "validation_images": len(dataset.validation),
        "device": device_name(find_device()),
        "uncached_seconds": round(median(uncached), 3),
        "cached_seconds": round(median(cached), 4),
        "ratio": round(median(uncached) / median(cached), 2),
        "least_ratio": round(min(uncached) / max(cached), 2),
        "making_seconds": round(making, 2),
        "disk_bytes": sum(file.stat().st_size for file in Path(os.environ["STUDY_CACHE"]).rglob("*.arrow")),
        "break_even_epochs": round(making / gained, 2),
        "most_difference": (logits[0] - logits[1]).abs().max().item(),
    }


def seconds(epoch: Epoch) -> float:
    """Of training and validating."""
    return epoch.train_seconds + epoch.validation_seconds


def made_up(options: argparse.Namespace, size: int) -> Dataset:
    """Images of noise; no time depends on what they show."""
    splits = {"train": options.images, "validation": options.images // 5}
    random = np.random.default_rng(0)
    train, validation = (
        Split(
            images=random.integers(0, 256, (num, size, size, options.channels), np.uint8),
            labels=random.integers(0, NUM_CLASSES, num),
        )
        for num in splits.values()
    )
    manifest = Manifest(
        name="noise",
        digest="noise",
        classes=tuple("abcdefg"),
        height=size,
        width=size,
        channels=options.channels,
        pixel_mean=(0.5,) * options.channels,
        pixel_std=(0.29,) * options.channels,
        splits={},
        findings=Findings(
            num_duplicates_within={}, num_duplicates_across={}, num_label_conflicts=0, skipped={}
        ),
        options={},
        source="made up",
        licence=None,
        added="2026-11-22T00:00:00Z",
    )
    return Dataset(manifest=manifest, train=train, validation=validation)


if __name__ == "__main__":
    main()
