"""Divisions of images into subgroups that are as likely as the one found, where subgroups do not differ."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# N images, G groups


def permutations(
    sub_N: NDArray[np.int64], groups_N: NDArray[np.int64] | None, num: int, *, seed: int = 0
) -> Iterator[NDArray[np.int64]]:
    """So many random permutations (N,) of the subgroups of images.

    Images without groups exchange their subgroups freely. Images of a group (a person, a film) are alike, so
    that only two kinds of exchange leave all as likely as it was: a group whose images are all of one
    subgroup (a person and the gender) exchanges it with another such group, and within a group of several
    subgroups (a person and the camera) its images exchange theirs.
    """
    source = np.random.default_rng(seed)
    if groups_N is None:
        for _ in range(num):
            yield source.permutation(sub_N)
        return
    _, first_G, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    sub_G = sub_N[first_G]
    is_mixed_G = np.bincount(group_N, sub_N != sub_G[group_N]) > 0
    is_mixed_N = is_mixed_G[group_N]
    mixed_rows = np.flatnonzero(is_mixed_N)
    mixed_rows = mixed_rows[np.argsort(group_N[mixed_rows], kind="stable")]
    mixed_group, mixed_sub = group_N[mixed_rows], sub_N[mixed_rows]
    for _ in range(num):
        exchanged_G = sub_G.copy()
        exchanged_G[~is_mixed_G] = source.permutation(sub_G[~is_mixed_G])
        permuted_N = exchanged_G[group_N]
        # Sorted by group, and within each by chance.
        permuted_N[mixed_rows] = mixed_sub[np.lexsort((source.random(len(mixed_rows)), mixed_group))]
        yield permuted_N
