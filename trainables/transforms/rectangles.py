"""A rectangle in each image of a batch: the one that is erased, or the one that another image fills."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# B batch, S side of the square images

_SHARES = (0.02, 0.33)
_RATIOS = (0.3, 3.3)


@dataclass(frozen=True, kw_only=True)
class Rectangles:
    """One rectangle for each image of a batch, within it; every field is int64 (B,), in pixels."""

    top: Tensor
    left: Tensor
    height: Tensor
    """0 for none."""
    width: Tensor

    def mask(self, side: int) -> Tensor:
        """bool (B, 1, S, S): which pixels lie inside."""
        along_S = torch.arange(side, device=self.top.device)
        is_row_BS = (along_S >= self.top[:, None]) & (along_S < (self.top + self.height)[:, None])
        is_column_BS = (along_S >= self.left[:, None]) & (along_S < (self.left + self.width)[:, None])
        return is_row_BS[:, None, :, None] & is_column_BS[:, None, None, :]


def erasing_rectangles(is_erased_B: Tensor, uniforms: Sequence[Tensor], side: int) -> Rectangles:
    """Rectangles of 2 to 33 % of the image, 0.3 to 3.3 times as high as wide (arXiv:1708.04896), from four
    draws (B,) in [0, 1).

    As `torchvision.transforms.RandomErasing`, which however draws anew where one does not fit; here it is cut
    to the image's side, which happens to about 0.2 %.
    """
    share_B, ratio_B, top_B, left_B = uniforms
    size_B = side * (_SHARES[0] + (_SHARES[1] - _SHARES[0]) * share_B).sqrt()
    stretch_B = torch.exp(math.log(_RATIOS[0]) / 2 + math.log(_RATIOS[1] / _RATIOS[0]) / 2 * ratio_B)
    height_B, width_B = _pixels(size_B * stretch_B, side), _pixels(size_B / stretch_B, side)
    return Rectangles(
        top=_within(side - height_B, top_B),
        left=_within(side - width_B, left_B),
        height=height_B * is_erased_B,
        width=width_B,
    )


def cut_rectangles(share_B: Tensor, uniforms: Sequence[Tensor], side: int) -> Rectangles:
    """Squares of a share (B,) of the image about a point anywhere in it, cut to the image (arXiv:1905.04899),
    from two draws (B,).
    """
    half_B = (side * share_B.sqrt()).long() // 2
    (top_B, bottom_B), (left_B, right_B) = (_cut_side(half_B, uniform_B, side) for uniform_B in uniforms)
    return Rectangles(top=top_B, left=left_B, height=bottom_B - top_B, width=right_B - left_B)


def _pixels(length_B: Tensor, side: int) -> Tensor:
    return length_B.round().long().clamp(1, side)


def _within(most_B: Tensor, uniform_B: Tensor) -> Tensor:
    # float32 may round a draw just below 1 up to most + 1.
    return torch.minimum((uniform_B * (most_B + 1)).long(), most_B)


def _cut_side(half_B: Tensor, uniform_B: Tensor, side: int) -> tuple[Tensor, Tensor]:
    centre_B = (uniform_B * side).long().clamp(max=side - 1)
    return (centre_B - half_B).clamp(min=0), (centre_B + half_B).clamp(max=side)
