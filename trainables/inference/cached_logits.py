"""A network's opinion on a whole set of images, from the output of its first layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainables.devices.device import autocast, deterministic
from trainables.feature_cache.feature_file import Features
from trainables.inference.logits import joined_passes, with_dropout
from trainables.recipe.evaluation import Evaluation

# N images, K classes


def logits_of_features(
    suffix: nn.Module, views: Sequence[Features], evaluation: Evaluation, *, batch_size: int, seed: int
) -> Tensor:
    """Logits (N, K) float32 of images by their features in each view that the evaluation asks for, as
    `logits_of` gives them of the images.

    Puts the suffix into evaluation mode. Samples of dropout are those of `logits_of` with as many images
    together.
    """
    if any(layer.training for layer in suffix.modules()):
        suffix.eval()
    device, num_samples = views[0].device, max(evaluation.dropout_samples, 1)
    with (
        torch.no_grad(),
        autocast(device),
        deterministic(device),
        with_dropout(suffix, evaluation, seed, device),
    ):
        batches_BK = [
            joined_passes(
                (suffix(view.at(chosen_B)).float() for view in views for _ in range(num_samples)),
                len(views) * num_samples,
            )
            for chosen_B in torch.arange(len(views[0]), device=views[0].place).split(batch_size)
        ]
    return torch.cat(batches_BK)
