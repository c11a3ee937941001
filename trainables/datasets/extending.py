"""A stored dataset together with new images: one source, in which stored images keep their splits."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.arrow_files import read_kept, read_names
from trainables.datasets.carving import carve_splits, connected_groups
from trainables.datasets.dataset import open_split
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.listing import read_manifest
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import OPENINGS_FILE, test_split_to_copy
from trainables.datasets.sources.source import Source, SourceImage
from trainables.datasets.split import SPLITS, Split
from trainables.datasets.spooled_images import SpooledImages
from trainables.errors import DatasetError

# N images


def extending_options(manifest: Manifest, options: AddOptions) -> AddOptions:
    """The options with which new images become like the stored ones: size, channels and form.

    Columns that are kept of the stored images stay kept. Raises DatasetError for what would change the stored
    images.
    """
    if manifest.options.get("permute_seed") is not None:
        raise DatasetError(
            f"the pixels of {manifest.name!r} are permuted, and no image can be added to them; add all "
            "images anew without --with"
        )
    is_square = manifest.height == manifest.width and not manifest.is_encoded
    size = manifest.height if is_square else None
    for flag, given, stored in (
        ("--size", options.image_size, size),
        ("--channels", options.channels, manifest.channels),
        ("--permute-seed", options.permute_seed, None),
        ("--store", None if options.store == "auto" else options.store, manifest.form),
    ):
        if given is not None and given != stored:
            raise DatasetError(
                f"with {manifest.name!r} new images become what its images are, and {flag} {given} says "
                "otherwise; leave it out"
            )
    return replace(
        options,
        image_size=size,
        channels=manifest.channels,
        store=manifest.form,
        keep_columns=tuple(dict.fromkeys([*manifest.kept_columns, *options.keep_columns])),
    )


def extended(folder: Path, new: Source, kept_of_new: tuple[str, ...], options: AddOptions) -> Source:
    """The images of the dataset in `folder`, each with its split, and then the new ones.

    Classes are joined by name, the stored ones first. `kept_of_new` are the columns that the new images have
    values of, and `options` those of `extending_options`.
    """
    manifest = read_manifest(folder)
    classes = tuple(dict.fromkeys([*manifest.classes, *new.classes]))
    label_of_new = [classes.index(name) for name in new.classes]
    num_stored = sum(split.num_images for split in manifest.splits.values())

    def images() -> Iterator[SourceImage]:
        yield from _stored_images(folder, manifest, options.keep_columns)
        for image in new.images:
            kept = dict(zip(kept_of_new, image.kept, strict=True))
            label = image.label
            if label is not None:  # one that is outside of the classes stays outside
                label = label_of_new[label] if 0 <= label < len(label_of_new) else len(classes)
            yield replace(image, label=label, kept=tuple(kept.get(name) for name in options.keep_columns))

    return Source(
        description=f"{new.description}, with the images of {manifest.name} ({manifest.digest[:12]}) from "
        f"{manifest.source}",
        classes=classes,
        images=images(),
        num_images=None if new.num_images is None else num_stored + new.num_images,
        carved_fraction=new.carved_fraction,
    )


def with_new_images_divided(images: SpooledImages, options: AddOptions) -> SpooledImages:
    """The images with a split for each new one of which the source tells none.

    New images that are equal to a stored one, or of its group, go where that is. Of the others the usual
    shares are carved for test and validation, and the rest is for training.
    """
    assert options.test_fraction is not None
    assert options.validation_fraction is not None
    is_free_N = images.is_unassigned
    connections = [images.pixel_keys, images.group_keys] if images.has_groups else [images.pixel_keys]
    component_N = connected_groups(connections)
    splits = images.splits.copy()
    first_with_split = _first_row_by_component(component_N, ~is_free_N)
    tied_N = is_free_N & (first_with_split[component_N] >= 0)
    splits[tied_N] = splits[first_with_split[component_N[tied_N]]]
    rows = np.flatnonzero(is_free_N & ~tied_N)
    if len(rows):
        fractions = {"test": options.test_fraction, "validation": options.validation_fraction}
        splits[rows] = carve_splits(
            np.full(len(rows), "train", dtype=splits.dtype),
            fractions,
            labels=images.labels[rows],
            connections=[keys[rows] for keys in connections],
            seed=options.split_seed,
        )
    return replace(images, splits=splits)


def copy_openings(stored: Path, folder: Path) -> None:
    """The test images of a stored dataset that go into another one have been looked at as often there."""
    if (stored / OPENINGS_FILE).exists():
        shutil.copy2(stored / OPENINGS_FILE, folder / OPENINGS_FILE)


def _first_row_by_component(
    component_N: NDArray[np.int64], is_counted_N: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """By component: the first counted row; -1 where it has none."""
    first = np.full(int(component_N.max()) + 1, -1)
    rows = np.flatnonzero(is_counted_N)[::-1]
    first[component_N[rows]] = rows
    return first


def _stored_images(folder: Path, manifest: Manifest, columns: tuple[str, ...]) -> Iterator[SourceImage]:
    for split_name in SPLITS:
        split, path = _split(folder, split_name), folder / f"{split_name}.arrow"
        names, groups = read_names(path)
        kept = read_kept(path)
        for row, label in enumerate(split.labels.tolist()):
            yield SourceImage(
                name=names[row],
                load=partial(_content, folder, split_name, row),
                label=label,
                split=split_name,
                group=groups[row],
                kept=tuple(kept[name][row] if name in kept else None for name in columns),
            )


@lru_cache(maxsize=8)
def _split(folder: Path, name: str) -> Split:
    return test_split_to_copy(folder) if name == "test" else open_split(folder, read_manifest(folder), name)


def _content(folder: Path, name: str, row: int) -> bytes | NDArray[np.uint8]:
    images = _split(folder, name).images
    if isinstance(images, EncodedImages):
        return images[row]
    image: NDArray[np.uint8] = images[row]
    return image[..., 0] if image.shape[2] == 1 else image
