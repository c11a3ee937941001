"""Mixtures of two images of a batch, and what share of each is in them."""

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from trainables.recipe.augmentation import Mixing
from trainables.transforms.rectangles import cut_rectangles

# B batch, C channels, S side of the square images, all tensors on one device

_ROUNDING = 1e-9
"""Of a progress such as 3/10 against 1 - 0.7, which is a little more."""


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Images of which each is a share of itself and the rest of another."""

    images_BCSS: Tensor
    others_B: Tensor | None = None
    """Labels of the others; None where nothing was mixed."""
    share_B: Tensor | None = None
    """Of each image itself, float32 in [0, 1]; None where nothing was mixed."""

    def part(self, indices_b: Tensor) -> "Mixed":
        """These images of the batch."""
        if self.others_B is None or self.share_B is None:
            return Mixed(images_BCSS=self.images_BCSS[indices_b])
        return Mixed(
            images_BCSS=self.images_BCSS[indices_b],
            others_B=self.others_B[indices_b],
            share_B=self.share_B[indices_b],
        )


def mix(
    images_BCSS: Tensor, labels_B: Tensor, mixing: Mixing, generator: torch.Generator, progress: float
) -> Mixed:
    """Each image with a partner, drawn as a permutation of the batch; its share is drawn for each image.

    `progress` in [0, 1) is the share of all epochs done. The draws follow from the generator, which lies on
    the images' device. Nobody waits for the device: a batch that `probability` leaves alone has a share of 1
    everywhere.
    """
    if mixing.kind == "none" or not mixing.probability or progress >= 1 - mixing.off_fraction - _ROUNDING:
        return Mixed(images_BCSS=images_BCSS)
    chance_B, order_B, *uniforms = torch.rand(
        6, len(images_BCSS), generator=generator, device=generator.device
    ).unbind()
    # Of equal draws, not a rare thing in float32, the first comes first on every device.
    partner_B = order_B.argsort(stable=True)
    share_B = torch.where(
        chance_B[:1] < mixing.probability, _beta(mixing.alpha, uniforms[0], uniforms[1], generator), 1.0
    )
    partners_BCSS = images_BCSS[partner_B]
    match mixing.kind:
        case "mixup":
            images_BCSS = torch.lerp(partners_BCSS, images_BCSS, share_B[:, None, None, None])
        case "cutmix":
            side = images_BCSS.shape[3]
            rectangles = cut_rectangles(1 - share_B, uniforms[2:], side)
            images_BCSS = torch.where(rectangles.mask(side), partners_BCSS, images_BCSS)
            share_B = 1 - rectangles.height * rectangles.width / side**2
        case _:
            assert_never(mixing.kind)
    return Mixed(images_BCSS=images_BCSS, others_B=labels_B[partner_B], share_B=share_B)


def _beta(alpha: float, first_B: Tensor, second_B: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) from Beta(alpha, alpha): g / (g + h) with g and h from Gamma(alpha), from two draws (B,) in [0, 1)
    and the generator.

    Gamma(alpha) is Gamma(alpha + 1) times a uniform draw to the power of 1 / alpha; in logarithms, no small
    alpha makes both 0.
    """
    size_2B = torch.full((2, len(first_B)), alpha + 1, device=generator.device)
    gamma_2B = torch._standard_gamma(size_2B, generator=generator)  # noqa: SLF001  torch.distributions take no generator
    first_log_B, second_log_B = torch.log1p(-first_B), torch.log1p(-second_B)
    log_odds_B = (first_log_B - second_log_B) / alpha + gamma_2B[0].log() - gamma_2B[1].log()
    return log_odds_B.sigmoid()
