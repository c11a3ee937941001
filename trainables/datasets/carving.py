"""Carving the splits that a source lacks out of its training images, without leaks between them.

Images of equal pixels or of an equal group (a person, a patient) are connected, and connected images stay
together. N images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DatasetError

Members = Mapping[int, int]
"""How many images of each class one group has."""


def carve_splits(
    splits: NDArray[np.str_],
    fractions: Mapping[str, float],
    *,
    labels: NDArray[np.int64],
    connections: Sequence[NDArray[np.int64]],
    seed: int,
) -> NDArray[np.str_]:
    """The split of each image (N,), after the splits named by `fractions` were carved out of `train`.

    A carved split gets its fraction of the training images of each class, rounded, and at least one image of
    each class that has enough groups. Each of `connections` is an array (N,) of keys; images of an equal key
    are connected. Images connected, by the first of them, to a split that is not carved stay in train. Raises
    DatasetError if nothing can be carved.
    """
    pool = np.flatnonzero(splits == "train")
    groups = connected_groups([keys[pool] for keys in connections])
    members = members_of(groups, labels[pool])
    is_tied = np.isin(connections[0][pool], connections[0][splits != "train"])
    free = _shuffled(len(members), without=groups[is_tied], seed=seed)
    num_images = np.bincount(labels[pool])
    num_left = np.bincount(
        [label for counts in members for label in counts], minlength=len(num_images)
    ).tolist()
    carved = splits.copy()
    for num_reserved, (split, fraction) in zip(range(len(fractions), 0, -1), fractions.items(), strict=True):
        target = [max(1, floor(fraction * count + 0.5)) for count in num_images.tolist()]
        share = _Share(target=target, num_left=num_left, num_reserved=num_reserved)
        share.fill(free, members)
        if not share.groups:
            raise DatasetError(
                f"no image can be carved for {split}: all of train is one group, or connected to a given "
                f"split; give a {split} split"
            )
        carved[pool[np.isin(groups, list(share.groups))]] = split
        free = [group for group in free if group not in share.groups]
    return carved


def connected_groups(connections: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The group (N,), numbered from 0, of each image: images joined by a chain of equal keys have equal
    groups.
    """
    groups = np.arange(len(connections[0]))
    inverses = [np.unique(keys, return_inverse=True)[1] for keys in connections]
    while True:
        before = groups
        for keys in inverses:
            smallest = np.full(len(groups), len(groups))
            np.minimum.at(smallest, keys, groups)
            groups = smallest[keys]
        if np.array_equal(before, groups):
            return np.unique(groups, return_inverse=True)[1]


def members_of(groups: NDArray[np.int64], labels: NDArray[np.int64]) -> Sequence[Members]:
    """By group: how many images of each class it has, of groups (N,) numbered from 0 and labels (N,)."""
    members: list[dict[int, int]] = [{} for _ in range(groups.max() + 1)]
    pairs, counts = np.unique(np.stack([groups, labels]), axis=1, return_counts=True)
    for group, label, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        members[group][label] = count
    return members


def _shuffled(num_groups: int, *, without: NDArray[np.int64], seed: int) -> list[int]:
    # RandomState's stream is frozen for ever (NEP 19): the same seed carves the same splits under any numpy.
    order = np.random.RandomState(seed).permutation(num_groups)
    left: list[int] = order[~np.isin(order, without)].tolist()
    return left


@dataclass(kw_only=True)
class _Share:
    """The groups that one carved split takes."""

    target: Sequence[int]
    """By class: images wanted."""
    num_left: list[int]
    """By class: groups that nobody has taken. Shared by all carved splits, and lowered here."""
    num_reserved: int
    """Groups of each class that stay for train and for the splits carved later."""
    missing: list[int] = field(init=False)
    """By class: images still wanted, negative where there are too many."""
    groups: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.missing = list(self.target)

    def fill(self, free: Sequence[int], members: Sequence[Members]) -> None:
        """Takes groups while they fit; then large ones that bring the counts closer; then one for each class
        still without any.
        """
        smallest_first = sorted(free, key=lambda group: sum(members[group].values()))
        for candidates, is_wanted in (
            (free, self._fits),
            (free, self._comes_closer),
            (smallest_first, self._fills_a_gap),
        ):
            for group in candidates:
                if group not in self.groups and is_wanted(members[group]) and self._is_spare(members[group]):
                    self._take(group, members[group])

    def _fits(self, counts: Members) -> bool:
        return all(count <= self.missing[label] for label, count in counts.items())

    def _comes_closer(self, counts: Members) -> bool:
        return (
            sum(
                abs(self.missing[label] - count) - abs(self.missing[label]) for label, count in counts.items()
            )
            < 0
        )

    def _fills_a_gap(self, counts: Members) -> bool:
        return any(self.missing[label] == self.target[label] for label in counts)

    def _is_spare(self, counts: Members) -> bool:
        return all(self.num_left[label] > self.num_reserved for label in counts)

    def _take(self, group: int, counts: Members) -> None:
        self.groups.add(group)
        for label, count in counts.items():
            self.missing[label] -= count
            self.num_left[label] -= 1
