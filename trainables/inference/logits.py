"""A network's opinion on a whole set of images, in evaluation mode."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import assert_never

import torch
from torch import Tensor, nn

from trainables.devices.device import autocast, deterministic
from trainables.devices.randomness import seeded
from trainables.recipe.evaluation import Evaluation
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width, C channels, L side before the crop, S side of what the model sees, K
# classes

_PIXELS_PER_BATCH = {"cpu": 2**20, "cuda": 2**24}
_ONE_PASS = Evaluation()


def logits_of(
    module: nn.Module,
    preprocessing: Preprocessing,
    images_NHWC: Tensor,
    evaluation: Evaluation = _ONE_PASS,
    *,
    seed: int = 0,
) -> Tensor:
    """Logits (N, K) float32 of uint8 images of `Preprocessing.resident`.

    Puts the module into evaluation mode.

    Where `evaluation` asks for more than one pass they are the logarithm of the mean of the passes'
    probabilities. Samples of dropout follow from `seed` and from all images of the call, in their order; the
    process's random generators are neither read nor changed.
    """
    module.eval()
    device = images_NHWC.device
    with torch.no_grad(), autocast(device), deterministic(device), _dropout(module, evaluation, seed, device):
        batches_BK = [
            logits_of_batch(module, preprocessing, preprocessing.scaled(images_BHWC), evaluation)
            for images_BHWC in images_NHWC.split(evaluation_batch_size(preprocessing, device))
        ]
    return torch.cat(batches_BK)


def evaluation_batch_size(preprocessing: Preprocessing, device: torch.device) -> int:
    """How many images go through the network together in evaluation."""
    return max(_PIXELS_PER_BATCH[device.type] // preprocessing.scaled_size**2, 1)


def logits_of_batch(
    module: nn.Module, preprocessing: Preprocessing, images_BCLL: Tensor, evaluation: Evaluation
) -> Tensor:
    """Logits (B, K) of images of `Preprocessing.scaled`, by a module that is in evaluation mode; what
    `logits_of` does to each batch.

    One pass after the other, so that many need little more memory than one.
    """
    num_samples = max(evaluation.dropout_samples, 1)
    crops_BCSS, mirrors = _views(preprocessing, images_BCLL, evaluation)
    passes_BK: Iterator[Tensor] = (
        module(preprocessing.normalised(crop_BCSS.flip(3) if is_mirrored else crop_BCSS)).float()
        for crop_BCSS in crops_BCSS
        for is_mirrored in mirrors
        for _ in range(num_samples)
    )
    num_passes = len(crops_BCSS) * len(mirrors) * num_samples
    if num_passes == 1:
        return next(passes_BK)
    summed_BK: Tensor = reduce(torch.logaddexp, (logits_BK.log_softmax(1) for logits_BK in passes_BK))
    return summed_BK - math.log(num_passes)


def _views(
    preprocessing: Preprocessing, images_BCLL: Tensor, evaluation: Evaluation
) -> tuple[list[Tensor], tuple[bool, ...]]:
    """The crops (B, C, S, S) that the model sees, without copies, and whether it sees each as it is,
    mirrored, or both.
    """
    side, margin = preprocessing.image_size, preprocessing.crop_margin
    centre_BCSS = preprocessing.centre(images_BCLL)
    match evaluation.views:
        case "one":
            return [centre_BCSS], (False,)
        case "flip":
            return [centre_BCSS], (False, True)
        case "ten_crop":
            corners = [
                images_BCLL[:, :, top : top + side, left : left + side]
                for top in (0, margin)
                for left in (0, margin)
            ]
            return [centre_BCSS, *corners], (False, True)
        case _:
            assert_never(evaluation.views)


@contextmanager
def _dropout(module: nn.Module, evaluation: Evaluation, seed: int, device: torch.device) -> Iterator[None]:
    """Inside, where the evaluation asks for samples, layers of dropout are in training mode, and nothing else
    is.
    """
    if not evaluation.dropout_samples:
        yield
        return
    with seeded(seed, "dropout samples", device=device):
        for layer in module.modules():
            # Not `train()`, which reaches all layers below; timm's networks drop out themselves, by their
            # `drop_rate`.
            layer.training = "Dropout" in type(layer).__name__ or bool(getattr(layer, "drop_rate", 0))
        try:
            yield
        finally:
            module.eval()
