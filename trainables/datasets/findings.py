"""What the pixels of a dataset tell about it: repeats, leaks between splits, contradicting labels."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.manifest import Findings
from trainables.datasets.split import SPLITS
from trainables.datasets.spooled_images import SpooledImages


def find_repeats(images: SpooledImages, skipped: Mapping[str, int]) -> Findings:
    """Counts of repeated images; two images are the same if their shape and all their pixels are."""
    keys = _by_split(images, images.pixel_keys)
    return Findings(
        num_duplicates_within={split: len(keys[split]) - len(np.unique(keys[split])) for split in SPLITS},
        num_duplicates_across=_in_both(keys),
        num_groups_across=_in_both(_by_split(images, images.group_keys)) if images.has_groups else {},
        num_widened=int((images.shapes[:, 2] < images.num_channels).sum()),
        num_label_conflicts=_num_conflicts(images.pixel_keys, images.labels),
        skipped=skipped,
    )


def clean_test_images(images: SpooledImages) -> NDArray[np.bool_]:
    """Which images of the test split, in their order, have pixels that no image of train or validation has,
    and are of none of their groups.
    """
    is_test = images.splits == "test"
    is_known: NDArray[np.bool_] = np.isin(images.pixel_keys[is_test], images.pixel_keys[~is_test])
    if images.has_groups:
        is_known |= np.isin(images.group_keys[is_test], images.group_keys[~is_test])
    return ~is_known


def _by_split(images: SpooledImages, keys: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
    return {split: keys[images.splits == split] for split in SPLITS}


def _in_both(keys: Mapping[str, NDArray[np.int64]]) -> Mapping[str, int]:
    """Distinct keys that two splits share, by pair."""
    return {
        f"{one}+{other}": len(np.intersect1d(keys[one], keys[other]))
        for one, other in combinations(SPLITS, 2)
    }


def _num_conflicts(keys: NDArray[np.int64], labels: NDArray[np.int64]) -> int:
    distinct_pairs = np.unique(np.stack([keys, labels]), axis=1)
    _, num_labels = np.unique(distinct_pairs[0], return_counts=True)
    return int((num_labels > 1).sum())
