"""The temperature at which probabilities can be taken at their word."""

import math

from torch import Tensor

# N images, K classes

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
NUM_HALVINGS = 40
"""Each halves the range of log T, 6 wide at first: 40 leave 5e-12 of it."""


def fitted_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The T in [0.05, 20] with the lowest log-loss of softmax(logits / T) (arXiv:1706.04599), to a relative
    1e-10.

    Computed in float64 on the CPU, so that no device gives another. Where every T does equally well it is 1.
    """
    logits_NK, labels_N = logits_NK.detach().cpu().double(), labels_N.cpu()
    behind_NK = logits_NK - logits_NK.gather(1, labels_N[:, None])
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        # The log-loss is convex in 1/T, and this is its slope there: it changes its sign once.
        slope = ((behind_NK / math.exp(middle)).softmax(1) * behind_NK).sum().item()
        if slope == 0:
            return math.exp(middle)
        low, high = (middle, high) if slope > 0 else (low, middle)
    return math.exp((low + high) / 2)


def is_at_bound(temperature: float) -> bool:
    """Whether a fitted temperature is an end of its range: the log-loss had no minimum inside, as where every
    image is right, so the number says nothing.
    """
    return not LOWEST_TEMPERATURE * 1.001 < temperature < HIGHEST_TEMPERATURE / 1.001
