"""A classifier whose network is one program for CPUs: BatchNorm is part of the weights, which lie as its
operations want them, and Python's lock is free while it runs.
"""

import warnings

import torch
from torch import Tensor, nn

from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.transforms.preprocessing import Preprocessing

# B batch, C channels, S side of what the model sees, K classes

MOST_PARAMETERS = 30_000_000
"""Of a network that is frozen: its weights are in memory twice, and larger ones gain little."""
CHECKED_BATCHES = (1, 3, 8)
"""Images on which the program must say what the network says; it was traced with two."""
TOLERANCE = 1e-4
"""Of a logit, relative to the largest."""


def frozen(classifier: Classifier | Ensemble) -> Classifier | Ensemble:
    """The classifier with frozen networks where they can be, for as many images as are asked.

    A network stays as it is on a GPU, where it is large, draws dropout in evaluation, cannot be traced, or
    says something else once it is.
    """
    if isinstance(classifier, Ensemble):
        return classifier.with_members([_frozen(member) for member in classifier.members])
    return _frozen(classifier)


class FrozenNetwork(nn.Module):
    """Maps what the network maps, in evaluation mode alone."""

    def __init__(self, module: nn.Module, example_BCSS: Tensor) -> None:
        super().__init__()
        self.module = module
        traced = torch.jit.trace(module, example_BCSS, check_trace=False)
        self._program = (torch.jit.freeze(traced),)  # in a tuple, which torch does not look into

    def forward(self, images_BCSS: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits_BK: Tensor = self._program[0](images_BCSS)
        return logits_BK


def _frozen(classifier: Classifier) -> Classifier:
    module, pixels = classifier.module, classifier.config.preprocessing
    parameters = list(module.parameters())
    is_random = classifier.config.recipe.evaluation.dropout_samples > 0
    if (
        is_random
        or sum(one.numel() for one in parameters) > MOST_PARAMETERS
        or {one.device.type for one in parameters} != {"cpu"}
    ):
        return classifier
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            program = FrozenNetwork(module, _images(pixels, 2)).eval()
            is_same = all(_is_same(program, module, _images(pixels, size)) for size in CHECKED_BATCHES)
    except Exception:  # noqa: BLE001  tracing raises almost anything for what it cannot follow
        return classifier
    return classifier.with_module(program) if is_same else classifier


def _is_same(program: nn.Module, module: nn.Module, images_BCSS: Tensor) -> bool:
    expected_BK = module(images_BCSS).float()
    # Three times, as the first two calls are those that it learns from.
    return all(
        bool((program(images_BCSS) - expected_BK).abs().max() <= TOLERANCE * expected_BK.abs().max().clamp(1))
        for _ in range(3)
    )


def _images(pixels: Preprocessing, num_images: int) -> Tensor:
    """Random pixels, the same each time; the process's random generator is not touched."""
    shape = (num_images, pixels.channels, pixels.image_size, pixels.image_size)
    images_BCSS = torch.rand(shape, generator=torch.Generator().manual_seed(num_images))
    return images_BCSS.contiguous(memory_format=torch.channels_last)
