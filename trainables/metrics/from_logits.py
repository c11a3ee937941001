"""Metrics of what a network returns."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainables.metrics.classification import Metrics

# N images, K classes


def metrics_of_logits(logits_NK: Tensor, labels_N: Tensor) -> Metrics:
    """Metrics of logits (N, K) against labels (N,), on their device, which is waited for once."""
    num_classes = logits_NK.shape[1]
    cells_N = labels_N * num_classes + logits_NK.argmax(1)
    log_loss_sum = functional.cross_entropy(logits_NK.double(), labels_N, reduction="sum")
    confusion_KK = torch.bincount(cells_N, minlength=num_classes**2).view(num_classes, num_classes)
    return Metrics.from_counts(confusion_KK.cpu().numpy(), log_loss_sum.item())


def metrics_of(probabilities_NK: NDArray[np.float32], labels_N: NDArray[np.int64]) -> Metrics:
    """Metrics of class probabilities (N, K), such as `Classifier.probabilities`, against labels (N,).

    A probability that float32 rounded to 0 counts as the smallest above it, so that the log-loss stays
    finite.
    """
    smallest = float(np.finfo(np.float32).tiny)
    logits_NK = torch.from_numpy(probabilities_NK).double().clamp_min(smallest).log()
    return metrics_of_logits(logits_NK, torch.tensor(labels_N))
