"""How sure the gain of one model over another is, by paired resamples of the images."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from study.evaluation.few_groups import confidence_of, expanded_tail

# B resamples

FEWEST_BEYOND = 10
"""Fewer resamples than these beyond a value do not tell how rare it is."""


@dataclass(frozen=True, kw_only=True)
class PairedGain:
    """A gain on a test split, above 0 where the challenger is better, with that of each paired resample.

    The share of resamples without a gain is the level at which the gain is shown. Two things are mended. Rare
    levels: where fewer than 10 resamples lie beyond, the tail is a normal one, with the standard deviation of
    the resamples, or with that which their lowest 10 show if it is larger. Few units: images of which both
    models say the same do not tell which is better, so the number of units is that of the images that differ,
    and few of them are worth as little as few groups (`study.evaluation.few_groups`). Three images, all of
    them better, come in 95.0 % of resamples, while McNemar's exact test has a confidence of 87.5 %.
    """

    gain: float
    gains_B: NDArray[np.float64]
    num_images: int
    num_groups: int | None
    """None where images have none; else groups are what the resamples draw."""
    num_differing: int
    """Images, or groups where there are some, in which the models differ."""

    def share_above(self, minimum: float) -> float:
        """The share of resamples whose gain exceeds the minimum."""
        return float(self._is_above(minimum).mean())

    def confidence(self, minimum: float) -> float:
        """The confidence, in [0, 1], that the gain exceeds the minimum."""
        from scipy.stats import norm

        is_above_B = self._is_above(minimum)
        share = float(is_above_B.mean())
        if (~is_above_B).sum() < FEWEST_BEYOND and self._spread > 0:
            share = float(norm.cdf((self.gain - minimum) / self._spread))
        return confidence_of(share, *self._units(minimum))

    def bound(self, level: float, minimum: float) -> float:
        """What the gain is at least, with a confidence of 1 - level; `minimum` is what it should exceed."""
        from scipy.stats import norm

        tail = expanded_tail(level, self._units(minimum)[0])
        if tail * len(self.gains_B) >= FEWEST_BEYOND:
            return float(np.quantile(self._shifted, tail))
        return self.gain + self._spread * float(norm.ppf(max(tail, float(np.finfo(np.float64).tiny))))

    @cached_property
    def _shifted(self) -> NDArray[np.float64]:
        """Without the bias of the bootstrap: their mean is the gain."""
        return self.gains_B + (self.gain - float(self.gains_B.mean()))

    @cached_property
    def _spread(self) -> float:
        """The standard deviation of the normal tail beyond the resamples."""
        from scipy.stats import norm

        tail = FEWEST_BEYOND / len(self.gains_B)
        lowest = float(np.quantile(self._shifted, tail))
        return max(float(self.gains_B.std()), (self.gain - lowest) / -float(norm.ppf(tail)))

    def _is_above(self, minimum: float) -> NDArray[np.bool_]:
        # A resample that ties exceeds nothing, however little it is shifted: where one image of 300 differs,
        # a third of the resamples lack it.
        is_tie_B = np.isclose(self.gains_B, minimum, rtol=0, atol=1e-12)
        return (self._shifted > minimum) & ~is_tie_B

    def _units(self, minimum: float) -> tuple[int, int]:
        """How many units were drawn, and how many of them differ."""
        if self.num_groups is not None:
            return self.num_groups, self.num_differing
        # A model that is worse by a share of the images differs in so many: that it does not tells something.
        expected = math.ceil(-min(minimum, 0.0) * self.num_images)
        num = min(max(self.num_differing, expected), self.num_images)
        return num, num
