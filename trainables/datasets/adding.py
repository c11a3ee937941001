"""Adding a dataset: read what a person has, decode it, report what is wrong, carve missing splits, write."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from trainables.datasets.arrow_files import Groups, map_split, write_split
from trainables.datasets.carving import carve_splits
from trainables.datasets.classes import learnable, relabelled
from trainables.datasets.contact_sheet import CONTACT_SHEET_FILE, write_contact_sheet
from trainables.datasets.decoded_images import DecodedImages
from trainables.datasets.decoding import Progress, decode_images
from trainables.datasets.findings import clean_test_images, find_repeats
from trainables.datasets.manifest import Manifest, SplitSummary
from trainables.datasets.options import AddOptions
from trainables.datasets.pixel_statistics import pixel_mean_and_std
from trainables.datasets.problems import Problems
from trainables.datasets.sources.formats import read_source
from trainables.datasets.sources.source import Source
from trainables.datasets.split import SPLITS
from trainables.datasets.staging import staged_folder
from trainables.errors import DatasetError

SPOOL_FILE = "decoded.pixels"


def add_dataset(
    home: Path, name: str, source: Path | None, options: AddOptions, progress: Progress | None = None
) -> Manifest:
    """Stores the images at `source` (None: built in) as `home/name` and returns the manifest.

    Images are decoded to a file beside the dataset, so the disk holds them up to three times for a while;
    memory does not. Nothing is left behind on an error or Ctrl-C. Raises DatasetError, with all problems in
    one message.
    """
    try:
        with staged_folder(home, name, replace=options.replace) as folder:
            found = relabelled(read_source(source, name, options), options.relabel)
            manifest = _build(
                folder, name, found, options.with_fractions(found.carved_fraction), progress or _silent
            )
            manifest.write(folder)
    except OSError as error:
        raise DatasetError(
            f"{name!r} was not added: {error}; its source must be readable, and {home} needs room for it"
        ) from error
    return manifest


def _build(folder: Path, name: str, found: Source, options: AddOptions, progress: Progress) -> Manifest:
    problems = Problems()
    decoded = decode_images(found, folder / SPOOL_FILE, options, problems, progress)
    if not problems:
        _require_train(decoded)
    kept, classes = learnable(decoded, found.classes, problems)
    skipped = problems.settle(options.on_error)
    _require_two(classes)
    carved = _with_all_splits(kept.with_one_number_of_channels(), classes, options)
    splits = _write_splits(folder, carved, kept.given_splits, len(classes), progress)
    (folder / SPOOL_FILE).unlink()
    height, width, channels = carved.image_shape
    train = map_split(folder / "train.arrow", height, width, channels)
    write_contact_sheet(folder / CONTACT_SHEET_FILE, train, classes)
    pixel_mean, pixel_std = pixel_mean_and_std(train.images)
    return Manifest(
        name=name,
        digest=_dataset_digest(classes, (height, width, channels), splits),
        classes=classes,
        height=height,
        width=width,
        channels=channels,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        splits=splits,
        findings=find_repeats(carved, skipped),
        options=options.to_dict(),
        source=found.description,
        licence=options.licence,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _require_train(decoded: DecodedImages) -> None:
    if decoded.given_splits and "train" not in decoded.given_splits:
        raise DatasetError(
            f"a dataset needs a train split, found only {', '.join(sorted(decoded.given_splits))}; name its "
            "training images train"
        )


def _require_two(classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise DatasetError(
            f"a dataset needs at least 2 classes with images, found {', '.join(classes) or 'none'}"
        )


def _with_all_splits(kept: DecodedImages, classes: Sequence[str], options: AddOptions) -> DecodedImages:
    assert options.test_fraction is not None
    assert options.validation_fraction is not None
    # Test first: how much goes to validation must not change which images are sealed.
    fractions = {"test": options.test_fraction, "validation": options.validation_fraction}
    lacking = {split: fraction for split, fraction in fractions.items() if split not in kept.given_splits}
    if not lacking:
        return kept
    _require_enough_images(kept, classes, lacking)
    connections = [kept.pixel_keys, kept.group_keys] if kept.has_groups else [kept.pixel_keys]
    return replace(
        kept,
        splits=carve_splits(
            kept.splits, lacking, labels=kept.labels, connections=connections, seed=options.split_seed
        ),
    )


def _require_enough_images(kept: DecodedImages, classes: Sequence[str], lacking: Mapping[str, float]) -> None:
    if sum(lacking.values()) >= 1:
        listed = ", ".join(f"--{split}-fraction {fraction}" for split, fraction in lacking.items())
        raise DatasetError(
            f"carving must leave some images in train, but nothing is left by {listed}; lower one"
        )
    num_needed = 1 + len(lacking)
    for name, count in zip(classes, np.bincount(kept.labels[kept.splits == "train"]), strict=True):
        if count < num_needed:
            raise DatasetError(
                f"carving {' and '.join(lacking)} out of train needs at least {num_needed} images of each "
                f"class, but {name!r} has {count}; "
                "add images, give the splits, or merge classes with --relabel"
            )


def _write_splits(
    folder: Path, carved: DecodedImages, given: frozenset[str], num_classes: int, progress: Progress
) -> dict[str, SplitSummary]:
    summaries = {}
    num_done = 0
    for split in SPLITS:
        is_in_split = carved.splits == split
        rows = carved.rows(is_in_split)
        # Numbered over the whole dataset: a group has the same number in each split.
        numbers = carved.group_keys[is_in_split] if carved.has_groups else None
        digest = write_split(
            folder / f"{split}.arrow",
            rows.chunks(),
            labels=rows.labels,
            names=rows.names.tolist(),
            digests=rows.digests,
            groups=None if numbers is None else Groups(numbers=numbers, names=rows.groups.tolist()),
            clean=clean_test_images(carved) if split == "test" else None,
        )
        num_by_class = tuple(np.bincount(rows.labels, minlength=num_classes).tolist())
        origin = "given" if split in given else "carved"
        summaries[split] = SplitSummary(
            num_images=len(rows),
            num_by_class=num_by_class,
            digest=digest,
            origin=origin,
            num_groups=None if numbers is None else len(np.unique(numbers)),
        )
        num_done += len(rows)
        progress("writing", num_done, len(carved))
    return summaries


def _dataset_digest(
    classes: Sequence[str], shape: tuple[int, ...], splits: Mapping[str, SplitSummary]
) -> str:
    content = {
        "classes": classes,
        "shape": shape,
        "splits": {name: split.digest for name, split in splits.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _silent(step: str, num_done: int, num_total: int | None) -> None:
    pass
