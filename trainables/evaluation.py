"""A network's opinion on a whole set of images, in evaluation mode."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.device import computing, repeatable
from trainables.metrics import Metrics
from trainables.preprocessing import Preprocessing

# N images, B batch, H height, W width, C channels, K classes

_PIXELS_PER_BATCH = {"cpu": 2**20, "cuda": 2**24}


def logits_of(module: nn.Module, preprocessing: Preprocessing, images_NHWC: Tensor) -> Tensor:
    """Logits (N, K) float32 of uint8 images of `Preprocessing.resident`. Puts the module into evaluation mode."""
    module.eval()
    device = images_NHWC.device
    num_in_batch = max(_PIXELS_PER_BATCH[device.type] // preprocessing.image_size**2, 1)
    with torch.no_grad(), computing(device), repeatable(device):
        batches_BK = [
            module(preprocessing.normalised(preprocessing.scaled(images_BHWC))).float() for images_BHWC in images_NHWC.split(num_in_batch)
        ]
    return torch.cat(batches_BK)


def metrics_of_logits(logits_NK: Tensor, labels_N: Tensor) -> Metrics:
    """Metrics of logits (N, K) against labels (N,), on their device, which is waited for once."""
    num_classes = logits_NK.shape[1]
    cells_N = labels_N * num_classes + logits_NK.argmax(1)
    log_loss_sum = functional.cross_entropy(logits_NK.double(), labels_N, reduction="sum")
    confusion_KK = torch.bincount(cells_N, minlength=num_classes**2).view(num_classes, num_classes)
    return Metrics.from_counts(confusion_KK.cpu().numpy(), log_loss_sum.item())


def metrics_of(probabilities_NK: NDArray[np.float32], labels_N: NDArray[np.int64]) -> Metrics:
    """Metrics of class probabilities (N, K), such as `Classifier.probabilities`, against labels (N,).

    A probability that float32 rounded to 0 counts as the smallest above it, so that the log-loss stays finite.
    """
    smallest = float(np.finfo(np.float32).tiny)
    logits_NK = torch.from_numpy(probabilities_NK).double().clamp_min(smallest).log()
    return metrics_of_logits(logits_NK, torch.tensor(labels_N))
