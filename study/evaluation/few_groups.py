"""What resamples of few groups are worth."""

import math


def expanded_tail(tail: float, num_groups: int | None) -> float:
    """The share of resamples to leave out at an end, in place of `tail`, where `num_groups` were drawn.

    Resamples of few units scatter too little: the normal quantile is replaced by Student's, times
    `sqrt(G / (G - 1))` (the expanded percentile interval: Hesterberg 2015, The American Statistician 69, 371,
    section 5.3). None, for resamples of images, changes nothing; nor does a single group, whose resamples do
    not differ.
    """
    from scipy.stats import norm, t

    if num_groups is None or num_groups < 2:
        return tail
    return float(norm.cdf(t.ppf(tail, num_groups - 1) * math.sqrt(num_groups / (num_groups - 1))))


def confidence_of(share_of_resamples: float, num_groups: int, num_differing: int) -> float:
    """The confidence that a gain is real which this share of resamples shows: the opposite of
    `expanded_tail`.

    It never exceeds that of all signs being alike, `1 - 2^-m` for `m` groups in which the models differ.
    """
    from scipy.stats import norm, t

    most = 1 - 0.5**num_differing
    if num_groups < 2:
        return min(most, 0.5)
    quantile = float(norm.ppf(share_of_resamples)) * math.sqrt((num_groups - 1) / num_groups)
    return min(most, float(t.cdf(quantile, num_groups - 1)))
