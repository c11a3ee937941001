"""Adding a dataset: read what a person has, decode it, report what is wrong, carve missing splits, write."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import prod
from pathlib import Path

import numpy as np

from trainables.datasets.arrow_files import map_split
from trainables.datasets.carving import carve_splits
from trainables.datasets.classes import learnable, relabelled
from trainables.datasets.contact_sheet import CONTACT_SHEET_FILE, write_contact_sheet
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.extending import (
    copy_openings,
    extended,
    extending_options,
    with_new_images_divided,
)
from trainables.datasets.findings import find_repeats
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.part_runners import PartRunner
from trainables.datasets.pixel_statistics import mean_and_std_of_moments, pixel_mean_and_std
from trainables.datasets.problems import Problems
from trainables.datasets.sources.formats import read_source
from trainables.datasets.sources.source import Source
from trainables.datasets.split import Split
from trainables.datasets.split_writing import write_splits
from trainables.datasets.spooled_images import SpooledImages
from trainables.datasets.spooling import Progress, spool_images
from trainables.datasets.staging import PARTS_FOLDER, staged_folder, work_key
from trainables.datasets.verifying import dataset_digest
from trainables.errors import DatasetError


def add_dataset(
    home: Path,
    name: str,
    source: Path | None,
    options: AddOptions,
    progress: Progress | None = None,
    run_parts: PartRunner | None = None,
) -> Manifest:
    """Stores the images at `source` (None: built in) as `home/name` and returns the manifest.

    Images are read by all cores, or by `run_parts`, in parts that lie beside the dataset until they move into
    it, so that the disk holds them once; memory does not. The dataset is the same to the last bit whoever
    reads. An error leaves nothing behind. What a killed process, Ctrl-C, or the end of those who read left of
    a large source is taken up by the next call with the same source and options. Raises DatasetError, with
    all problems in one message, and CutOffError.
    """
    stored = None if options.with_dataset is None else find_dataset(home, options.with_dataset)
    try:
        work = work_key(
            name, source, options, with_digest="" if stored is None else read_manifest(stored).digest
        )
        with staged_folder(home, name, replace=options.replace, work=work) as folder:
            found = relabelled(read_source(source, name, options), options.relabel)
            if stored is not None:
                kept_of_new, options = options.keep_columns, extending_options(read_manifest(stored), options)
                found = extended(stored, found, kept_of_new, options)
                copy_openings(stored, folder)
            filled = options.with_fractions(found.carved_fraction)
            manifest = _build(folder, name, found, filled, progress or _silent, run_parts)
            manifest.write(folder)
            shutil.rmtree(folder / PARTS_FOLDER)
    except OSError as error:
        raise DatasetError(
            f"{name!r} was not added: {error}; its source must be readable, and {home} needs room for it"
        ) from error
    return manifest


def _build(
    folder: Path,
    name: str,
    found: Source,
    options: AddOptions,
    progress: Progress,
    run_parts: PartRunner | None,
) -> Manifest:
    problems = Problems()
    spooled = spool_images(found, folder / PARTS_FOLDER, options, problems, progress, run_parts)
    if not problems:
        _require_train(spooled)
    kept, classes = learnable(spooled, found.classes, problems)
    skipped = problems.settle(options.on_error)
    _require_two(classes)
    carved = _with_all_splits(kept.with_one_number_of_channels(), classes, options)
    splits = write_splits(
        folder, carved, kept.given_splits, len(classes), lambda done: progress("writing", done, len(carved))
    )
    shape, is_encoded = carved.typical_shape, carved.form == "encoded"
    train = map_split(folder / "train.arrow", *shape, is_encoded=is_encoded)
    write_contact_sheet(folder / CONTACT_SHEET_FILE, train, classes)
    pixel_mean, pixel_std = _pixel_mean_and_std(train, carved)
    return Manifest(
        name=name,
        digest=dataset_digest(classes, shape, splits, carved.form),
        classes=classes,
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        splits=splits,
        findings=find_repeats(carved, skipped),
        options=options.to_dict(),
        source=found.description,
        licence=options.licence,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        form=carved.form,
        image_bytes=int(carved.lengths.sum()) if is_encoded else len(carved) * prod(shape),
        smallest=carved.extreme_size(np.min) if is_encoded else None,
        largest=carved.extreme_size(np.max) if is_encoded else None,
    )


def _pixel_mean_and_std(train: Split, carved: SpooledImages) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if isinstance(train.images, EncodedImages):
        return mean_and_std_of_moments(carved.moments[carved.splits == "train"][:, :, : carved.num_channels])
    return pixel_mean_and_std(train.images)


def _require_train(decoded: SpooledImages) -> None:
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


def _with_all_splits(kept: SpooledImages, classes: Sequence[str], options: AddOptions) -> SpooledImages:
    assert options.test_fraction is not None
    assert options.validation_fraction is not None
    # Test first: how much goes to validation must not change which images are sealed.
    fractions = {"test": options.test_fraction, "validation": options.validation_fraction}
    if options.with_dataset is not None:
        return with_new_images_divided(kept, options)
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


def _require_enough_images(kept: SpooledImages, classes: Sequence[str], lacking: Mapping[str, float]) -> None:
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


def _silent(step: str, num_done: int, num_total: int | None) -> None:
    pass
