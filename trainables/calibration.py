"""Whether probabilities can be taken at their word, and the temperature that helps."""

import math

import torch
from torch import Tensor

# N images, K classes

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
NUM_HALVINGS = 40
"""Each halves the range of log T, 6 wide at first: 40 leave 5e-12 of it."""


def fitted_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The T in [0.05, 20] with the lowest log-loss of softmax(logits / T) (arXiv:1706.04599), to a relative 1e-10.

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


def expected_calibration_error(probabilities_NK: Tensor, labels_N: Tensor, num_bins: int = 15) -> float:
    """Mean over images of the gap, within each bin of confidence, between mean confidence and accuracy; in [0, 1], 0 is best.

    Confidence is the highest probability; bins (a, b] are equally wide over [0, 1] (arXiv:1706.04599, equation 3). Computed in float64
    on the CPU.
    """
    confidences_N, predicted_N = probabilities_NK.cpu().double().max(1)
    edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64)
    bins_N = torch.bucketize(confidences_N, edges[1:-1])
    gaps = torch.zeros_like(edges[1:]).index_add_(0, bins_N, confidences_N - (predicted_N == labels_N.cpu()).double())
    return gaps.abs().sum().item() / len(labels_N)
