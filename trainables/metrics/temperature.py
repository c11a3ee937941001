"""The temperature at which probabilities can be taken at their word."""

import math

from torch import Tensor

# N images, K classes

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
PRIOR_WEIGHT = 4.0
"""Of the prior of T: near 1 it is that of a log T with a standard deviation of 1 / sqrt(4) = 0.5."""
NUM_HALVINGS = 40
"""Each halves the range of log T, 6 wide at first: 40 leave 5e-12 of it."""


def fitted_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The most probable T in [0.05, 20] of softmax(logits / T) (arXiv:1706.04599), to a relative 1e-10.

    Without an error the log-loss falls until T is 0, and with a few it says little, so that 1/T has a gamma
    prior whose mode is 1: the sum of the images' log-losses plus 4 (1/T + log T) is least. Two in three of
    its temperatures are from about 0.6 to 1.6. It counts for about as much as an error or two: from some ten
    errors on T is that of the labels, with fewer it lies nearer to 1.

    Computed in float64 on the CPU, so that no device gives another. Where every T does equally well it is 1.
    """
    logits_NK, labels_N = logits_NK.detach().cpu().double(), labels_N.cpu()
    behind_NK = logits_NK - logits_NK.gather(1, labels_N[:, None])
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        # Log-loss and prior are convex in 1/T, and this is the slope there: it changes its sign once.
        slope = ((behind_NK / math.exp(middle)).softmax(1) * behind_NK).sum().item()
        slope += PRIOR_WEIGHT * (1 - math.exp(middle))
        if slope == 0:
            return math.exp(middle)
        low, high = (middle, high) if slope > 0 else (low, middle)
    return math.exp((low + high) / 2)


def is_at_bound(temperature: float) -> bool:
    """Whether a fitted temperature is an end of its range, as where many images are wrong and sure of it: the
    best one lies outside, so the number says nothing.
    """
    return not LOWEST_TEMPERATURE * 1.001 < temperature < HIGHEST_TEMPERATURE / 1.001
