"""A network's opinion on a whole set of images, in evaluation mode."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.devices.device import autocast, deterministic
from trainables.devices.randomness import seeded
from trainables.recipe.evaluation import Evaluation
from trainables.transforms.image_stream import DeviceImages
from trainables.transforms.preprocessing import Preprocessing

# N images, B batch, H height, W width, C channels, L side before the crop, S side of what the model sees, K
# classes

_PIXELS_PER_BATCH = {"cpu": 2**20, "cuda": 2**24}
_ONE_PASS = Evaluation()


def logits_of(
    module: nn.Module,
    preprocessing: Preprocessing,
    images_NHWC: DeviceImages,
    evaluation: Evaluation = _ONE_PASS,
    *,
    seed: int = 0,
) -> Tensor:
    """Logits (N, K) float32 of uint8 images of `Preprocessing.resident`, or of streamed ones.

    Puts the module into evaluation mode.

    Where `evaluation` asks for more than one pass they are the logarithm of the mean of the passes'
    probabilities. Samples of dropout follow from `seed` and from all images of the call, in their order; the
    process's random generators are neither read nor changed.
    """
    if any(layer.training for layer in module.modules()):  # eval() itself takes longer than a small network
        module.eval()
    device = images_NHWC.device
    with (
        torch.no_grad(),
        autocast(device),
        deterministic(device),
        with_dropout(module, evaluation, seed, device),
    ):
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
    views = views_of_batch(preprocessing, images_BCLL, evaluation)
    passes_BK: Iterator[Tensor] = (
        module(preprocessing.normalised(view())).float() for view in views for _ in range(num_samples)
    )
    return joined_passes(passes_BK, len(views) * num_samples)


def joined_passes(passes_BK: Iterator[Tensor], num_passes: int) -> Tensor:
    """The logits (B, K) of one pass, or the logarithm of the mean of the passes' probabilities."""
    if num_passes == 1:
        return next(passes_BK)
    summed_BK: Tensor = reduce(torch.logaddexp, (logits_BK.log_softmax(1) for logits_BK in passes_BK))
    return summed_BK - math.log(num_passes)


def num_views(evaluation: Evaluation) -> int:
    """How many `views_of_batch` gives."""
    return {"one": 1, "flip": 2, "ten_crop": 10, "three_sizes": 3}[evaluation.views]


def views_of_batch(
    preprocessing: Preprocessing, images_BCLL: Tensor, evaluation: Evaluation
) -> list[Callable[[], Tensor]]:
    """What makes each view (B, C, S, S) of images of `Preprocessing.scaled` that the model is shown."""
    crops_BCSS, mirrors = _crops(preprocessing, images_BCLL, evaluation)
    return [partial(_view, crop_BCSS, is_mirrored) for crop_BCSS in crops_BCSS for is_mirrored in mirrors]


def _view(crop_BCSS: Tensor, is_mirrored: bool) -> Tensor:
    return crop_BCSS.flip(3) if is_mirrored else crop_BCSS


def _crops(
    preprocessing: Preprocessing, images_BCLL: Tensor, evaluation: Evaluation
) -> tuple[list[Tensor], tuple[bool, ...]]:
    """The crops (B, C, S, S) that the model sees, and whether it sees each as it is, mirrored, or both."""
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
        case "three_sizes":
            larger = [
                _resized(preprocessing.middle(images_BCLL, side + more), side)
                for more in (margin - margin // 2, margin)
            ]
            return [centre_BCSS, *larger], (False,)
        case _:
            assert_never(evaluation.views)


def _resized(images_BCXX: Tensor, side: int) -> Tensor:
    """Smaller, with antialiasing."""
    return functional.interpolate(
        images_BCXX, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )


@contextmanager
def with_dropout(
    module: nn.Module, evaluation: Evaluation, seed: int, device: torch.device
) -> Iterator[None]:
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
