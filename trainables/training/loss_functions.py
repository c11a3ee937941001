"""What a training minimises: the loss of each image, and how a batch's losses become one number."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from trainables.recipe.loss import Loss
from trainables.training.class_weights import class_weights

# B batch, K classes

Losses = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Of logits (B, K), labels (B,) and class weights (K,) or None to each image's loss (B,), its weight
multiplied in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageLoss:
    """The loss of a batch; `build_loss` makes it. It never waits for the device."""

    losses: Losses
    weights: Tensor | None
    """Of each class (K,); None where all weigh 1."""
    weights_from: float
    """Share of all epochs, in [0, 1], before which all classes weigh 1."""
    normalisation: Literal["weights", "images"]

    def __call__(
        self,
        logits_BK: Tensor,
        labels_B: Tensor,
        *,
        progress: float,
        others_B: Tensor | None = None,
        share_B: Tensor | None = None,
    ) -> Tensor:
        """A scalar: the batch's weighted losses over the sum of its weights, or over its images.

        `progress` is the share of all epochs done, in [0, 1). Where images were mixed, each is `share_B` (in
        [0, 1]) of class `labels_B` and the rest of class `others_B`: its loss and its weight are mixed
        likewise. Give both or neither.
        """
        weights_K = self.weights if progress >= self.weights_from else None
        losses_B = self.losses(logits_BK, labels_B, weights_K)
        if others_B is not None and share_B is not None:
            losses_B = _mixed(losses_B, self.losses(logits_BK, others_B, weights_K), share_B)
        if weights_K is None or self.normalisation == "images":
            return losses_B.mean()
        return losses_B.sum() / self.divisor(labels_B, progress=progress, others_B=others_B, share_B=share_B)

    def divisor(
        self,
        labels_B: Tensor,
        *,
        progress: float,
        others_B: Tensor | None = None,
        share_B: Tensor | None = None,
    ) -> Tensor:
        """What a batch's sum of losses is divided by, a scalar: what its parts count in proportion to."""
        if self.weights is None or progress < self.weights_from or self.normalisation == "images":
            return torch.full((), float(len(labels_B)), device=labels_B.device)
        weights_B = self.weights[labels_B]
        if others_B is not None and share_B is not None:
            weights_B = _mixed(weights_B, self.weights[others_B], share_B)
        return weights_B.sum()


def build_loss(
    loss: Loss, classes: Sequence[str], num_by_class: Sequence[int], device: torch.device
) -> ImageLoss:
    """The loss for a dataset with `num_by_class` training images, in the order of `classes`; it takes float32
    logits on `device`.

    Raises RecipeError if a table of weights does not name exactly the dataset's classes.
    """
    weights = class_weights(loss, classes, num_by_class)
    return ImageLoss(
        losses=_losses(loss, num_by_class, device),
        weights=None if weights is None else _on(device, weights),
        weights_from=loss.weights_from,
        normalisation=loss.weight_normalisation,
    )


def _losses(loss: Loss, num_by_class: Sequence[int], device: torch.device) -> Losses:
    match loss.kind:
        case "cross_entropy":
            return partial(_cross_entropy, smoothing=loss.label_smoothing)
        case "focal":
            return partial(_focal, gamma=loss.focal_gamma)
        case "ldam":
            margins_K = _on(device, _margins(loss.ldam_margin, num_by_class))
            return partial(_ldam, margins_K=margins_K, scale=loss.ldam_scale)
        case "logit_adjusted":
            shifts_K = _on(device, [loss.adjustment * value for value in _log_priors(num_by_class)])
            return partial(_logit_adjusted, shifts_K=shifts_K, smoothing=loss.label_smoothing)
        case _:
            assert_never(loss.kind)


def _cross_entropy(
    logits_BK: Tensor, labels_B: Tensor, weights_K: Tensor | None, *, smoothing: float
) -> Tensor:
    return functional.cross_entropy(
        logits_BK, labels_B, weight=weights_K, label_smoothing=smoothing, reduction="none"
    )


def _focal(logits_BK: Tensor, labels_B: Tensor, weights_K: Tensor | None, *, gamma: float) -> Tensor:
    """(1 - p) ** gamma times cross-entropy, where p is the softmax probability of the label
    (arXiv:1708.02002).
    """
    losses_B = functional.cross_entropy(logits_BK, labels_B, reduction="none")
    # At p = 1 the power's gradient is infinite for gamma below 1, and infinity times a loss of 0 is no
    # number.
    missing_B = (-torch.expm1(-losses_B)).clamp_min(torch.finfo(losses_B.dtype).tiny)
    focal_B = missing_B**gamma * losses_B
    return focal_B if weights_K is None else weights_K[labels_B] * focal_B


def _ldam(
    logits_BK: Tensor, labels_B: Tensor, weights_K: Tensor | None, *, margins_K: Tensor, scale: float
) -> Tensor:
    """Cross-entropy of scaled logits, the label's lowered by its margin first (arXiv:1906.07413;
    github.com/kaidic/LDAM-DRW).
    """
    is_label_BK = labels_B[:, None] == torch.arange(len(margins_K), device=labels_B.device)
    return functional.cross_entropy(
        scale * (logits_BK - margins_K * is_label_BK), labels_B, weight=weights_K, reduction="none"
    )


def _logit_adjusted(
    logits_BK: Tensor, labels_B: Tensor, weights_K: Tensor | None, *, shifts_K: Tensor, smoothing: float
) -> Tensor:
    """Cross-entropy of logits plus tau times the logarithm of class frequency (arXiv:2007.07314)."""
    return _cross_entropy(logits_BK + shifts_K, labels_B, weights_K, smoothing=smoothing)


def _margins(largest: float, num_by_class: Sequence[int]) -> list[float]:
    """In proportion to n ** -1/4; a class without images has the margin of the rarest that has some."""
    fewest = min(num for num in num_by_class if num)
    return [largest * (fewest / (num or fewest)) ** 0.25 for num in num_by_class]


def _log_priors(num_by_class: Sequence[int]) -> list[float]:
    """A class without images counts as if it had one, which keeps its logarithm finite."""
    num_images = sum(num_by_class)
    return [math.log(max(num, 1) / num_images) for num in num_by_class]


def _mixed(first_B: Tensor, second_B: Tensor, share_B: Tensor) -> Tensor:
    return share_B * first_B + (1 - share_B) * second_B


def _on(device: torch.device, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
