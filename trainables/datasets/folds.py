"""Folds for cross-validation: the images of train and validation together, each held out once.

Images of equal pixels or of one group (a person, a film) are connected, and connected images are in one fold.
The test split takes no part. N images: those of train, then those of validation; K classes, F folds.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.arrow_files import read_pixel_digests
from trainables.datasets.carving import Members, connected_groups, members_of
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.manifest import Manifest
from trainables.datasets.pixels import pixel_digest
from trainables.datasets.split import Split, StoredImages
from trainables.errors import DatasetError

SEED = 0
"""Of the order in which equal groups are dealt: folds are a property of the dataset, as its splits are, so
that all studies of the dataset with as many folds have the same."""


def fold_numbers(dataset: Dataset, num_folds: int) -> NDArray[np.int64]:
    """The fold (N,), from 0, of each image of train and validation: stratified by class as well as groups
    allow, and the same for the same dataset at any time.

    Raises DatasetError where a class has fewer groups of connected images than there are folds.
    """
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    groups = connected_groups(_connections(dataset))
    members = members_of(groups, labels)
    _check_enough(members, dataset.manifest, num_folds, is_grouped=dataset.train.groups is not None)
    return _dealt(members, np.bincount(labels), num_folds)[groups]


@dataclass(frozen=True)
class FoldedDataset:
    """A dataset and the folds of its train and validation images."""

    dataset: Dataset
    fold_N: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset, num_folds: int) -> "FoldedDataset":
        """The dataset in folds. Raises DatasetError as `fold_numbers` does."""
        return cls(dataset, fold_numbers(dataset, num_folds))

    @property
    def num_folds(self) -> int:
        """How many folds there are."""
        return int(self.fold_N.max()) + 1

    def positions(self, fold: int) -> NDArray[np.int64]:
        """Where the images of a fold stand among the N, in ascending order."""
        return np.flatnonzero(self.fold_N == fold)

    def held_out(self, fold: int) -> Split:
        """The images of a fold, in the order of `positions`; a copy."""
        return images_at(self.dataset, self.positions(fold))

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """By fold: a dataset whose validation split is the fold, and whose train split is all other folds.

        They share one copy of the images, which holds each twice. Each has a digest of its own.
        """
        order = np.argsort(self.fold_N, kind="stable")
        rows = images_at(self.dataset, np.concatenate([order, order]))
        ends = np.cumsum(np.bincount(self.fold_N)).tolist()
        starts = [0, *ends[:-1]]
        return tuple(
            Dataset(
                manifest=replace(self.dataset.manifest, digest=self._digest(fold)),
                train=_part(rows, end, start + len(order)),  # the folds after it, then those before it
                validation=_part(rows, start, end),
            )
            for fold, (start, end) in enumerate(zip(starts, ends, strict=True))
        )

    def _digest(self, fold: int) -> str:
        whole = f"{self.dataset.manifest.digest}/fold {fold} of {self.num_folds}"
        return hashlib.sha256(whole.encode()).hexdigest()


def images_at(dataset: Dataset, positions: NDArray[np.int64]) -> Split:
    """A copy of the images at these positions among the N."""
    num_train = len(dataset.train)
    is_train = positions < num_train
    train, validation = positions[is_train], positions[~is_train] - num_train

    def gathered(of_train: NDArray[Any], of_validation: NDArray[Any]) -> NDArray[Any]:
        rows = np.empty((len(positions), *of_train.shape[1:]), of_train.dtype)
        rows[is_train], rows[~is_train] = of_train[train], of_validation[validation]
        rows.setflags(write=False)
        return rows

    one, other = dataset.train, dataset.validation
    return Split(
        images=_gathered_images(one.images, other.images, gathered, positions),
        labels=gathered(one.labels, other.labels),
        groups=None if one.groups is None or other.groups is None else gathered(one.groups, other.groups),
    )


def _gathered_images(
    of_train: StoredImages,
    of_validation: StoredImages,
    gathered: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    positions: NDArray[np.int64],
) -> StoredImages:
    if not isinstance(of_train, EncodedImages) or not isinstance(of_validation, EncodedImages):
        assert not isinstance(of_train, EncodedImages)
        assert not isinstance(of_validation, EncodedImages)
        return gathered(of_train, of_validation)
    num_train = len(of_train)
    images = [
        of_train[row] if row < num_train else of_validation[row - num_train] for row in positions.tolist()
    ]
    return EncodedImages.of(images, of_train.channels)


def _part(split: Split, start: int, end: int) -> Split:
    """A view."""
    return Split(
        images=split.images[start:end],
        labels=split.labels[start:end],
        groups=None if split.groups is None else split.groups[start:end],
    )


def _connections(dataset: Dataset) -> list[NDArray[np.int64]]:
    digests = np.concatenate([_digests(dataset, name, split) for name, split in _pooled_splits(dataset)])
    connections = [np.unique(digests, return_inverse=True)[1]]
    if dataset.train.groups is not None and dataset.validation.groups is not None:
        connections.append(np.concatenate([dataset.train.groups, dataset.validation.groups]))
    return connections


def _pooled_splits(dataset: Dataset) -> Sequence[tuple[str, Split]]:
    return ("train", dataset.train), ("validation", dataset.validation)


def _digests(dataset: Dataset, name: str, split: Split) -> NDArray[np.bytes_]:
    if dataset.folder is not None:
        return read_pixel_digests(dataset.folder / f"{name}.arrow")
    digests = b"".join(pixel_digest(split.pixels(row)) for row in range(len(split)))
    return np.frombuffer(digests, np.dtype("V16"), count=len(split))


def _check_enough(
    members: Sequence[Members], manifest: Manifest, num_folds: int, *, is_grouped: bool
) -> None:
    num_groups_K = _num_groups_by_class(members, manifest.num_classes)
    fewest = min(num_groups_K)
    if fewest >= num_folds:
        return
    what = "groups of images" if is_grouped else "distinct images"
    name = manifest.classes[num_groups_K.index(fewest)]
    fewer = f"take at most {fewest} folds, " if fewest >= 2 else ""
    raise DatasetError(
        f"{num_folds} folds need at least {num_folds} {what} of each class in train and validation, but "
        f"{name!r} has {fewest}; {fewer}add images, or merge classes with --relabel"
    )


def _dealt(members: Sequence[Members], num_images_K: NDArray[np.int64], num_folds: int) -> NDArray[np.int64]:
    """The fold of each group: each goes to the fold that has the smallest shares of its classes so far.

    That keeps the sum over classes and folds of the squared share of a class small. Groups of the rarest
    classes come first, while there is a choice, and large ones before small ones, which fill the gaps.
    """
    num_groups_K = _num_groups_by_class(members, len(num_images_K))
    shuffled = np.random.RandomState(SEED).permutation(len(members)).tolist()  # frozen for ever (NEP 19)
    order = sorted(
        shuffled,
        key=lambda group: (
            min(num_groups_K[label] for label in members[group]),
            -sum(members[group].values()),
        ),
    )
    weight_K = [1 / max(num, 1) ** 2 for num in num_images_K.tolist()]
    taken_FK = [[0] * len(num_images_K) for _ in range(num_folds)]
    size_F = [0] * num_folds
    fold_G = np.empty(len(members), np.int64)
    for group in order:
        counts = members[group]

        def crowding(fold: int, counts: Members = counts) -> tuple[float, int]:
            taken_K = taken_FK[fold]
            return sum(weight_K[k] * taken_K[k] * num for k, num in counts.items()), size_F[fold]

        fold = min(range(num_folds), key=crowding)
        fold_G[group] = fold
        size_F[fold] += sum(counts.values())
        for k, num in counts.items():
            taken_FK[fold][k] += num
    return fold_G


def _num_groups_by_class(members: Sequence[Members], num_classes: int) -> list[int]:
    labels = [label for counts in members for label in counts]
    num_K: list[int] = np.bincount(labels, minlength=num_classes).tolist()
    return num_K
