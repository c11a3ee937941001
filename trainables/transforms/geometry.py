"""Where the pixels of a batch's images go: crop, mirror, rotation, shift, shear and zoom.

Geometry is that of `torchvision.transforms.functional.affine`: clockwise degrees, about the centre of the
crop. All of it is one affine map, so that pixels are interpolated once; what it brings in from outside the
crop are the image's own pixels, as far as there are any.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainables.transforms.parameters import Parameters

# B batch, C channels, L side of the images that come in, S side of the crop


def moved(
    images_BCLL: Tensor,
    parameters: Parameters,
    *,
    image_size: int,
    fill: Literal["zeros", "border", "reflection"],
) -> Tensor:
    """Crops (B, C, S, S), moved by the parameters, bilinearly interpolated."""
    num_images, channels, side, _ = images_BCLL.shape
    theta_B23 = _theta(parameters, image_size, side)
    grid_BSS2 = functional.affine_grid(
        theta_B23, [num_images, channels, image_size, image_size], align_corners=False
    )
    return functional.grid_sample(images_BCLL, grid_BSS2, padding_mode=fill, align_corners=False)


def cropped(images_BCLL: Tensor, parameters: Parameters, *, image_size: int) -> Tensor:
    """Crops (B, C, S, S), pixel by pixel; the images themselves where L is S."""
    if parameters.crop_top is None:
        return images_BCLL
    # All crops as a view, of which each image picks one: five times faster than an index for every pixel.
    crops_BCYXSS = images_BCLL.unfold(2, image_size, 1).unfold(3, image_size, 1)
    each_B = torch.arange(len(images_BCLL), device=images_BCLL.device)
    return crops_BCYXSS[each_B, :, parameters.crop_top, parameters.crop_left]


def mirrored(images_BCSS: Tensor, is_flipped_B: Tensor) -> Tensor:
    """The images, those marked mirrored left to right, pixel by pixel."""
    return torch.where(is_flipped_B[:, None, None, None], images_BCSS.flip(3), images_BCSS)


def _theta(parameters: Parameters, image_size: int, side: int) -> Tensor:
    """(B, 2, 3): where each output pixel comes from, in coordinates that span [-1, 1] along the crop's and
    the image's side.

    The forward map is shift @ rotation @ shear @ zoom @ mirror, about the crop's centre; this is its inverse.
    """
    angle, shear = (
        degrees * (math.pi / 180) for degrees in (parameters.rotation_degrees, parameters.shear_degrees)
    )
    cosine, sine, slant = angle.cos(), angle.sin(), shear.tan()
    # A pixel is a smaller share of the image's side than of the crop's.
    scale = image_size / side
    per_x, per_y = (
        scale * (1.0 - 2.0 * parameters.is_flipped.to(angle.dtype)) / parameters.zoom_x,
        scale / parameters.zoom_y,
    )
    x_of_x, x_of_y = per_x * (cosine - sine * slant), per_x * (sine + cosine * slant)
    y_of_x, y_of_y = -per_y * sine, per_y * cosine
    shift_x, shift_y = 2 * parameters.shift_x, 2 * parameters.shift_y
    centre_x, centre_y = (
        _centre(offset, image_size, side) for offset in (parameters.crop_left, parameters.crop_top)
    )
    rows = (
        torch.stack((x_of_x, x_of_y, centre_x - x_of_x * shift_x - x_of_y * shift_y), dim=1),
        torch.stack((y_of_x, y_of_y, centre_y - y_of_x * shift_x - y_of_y * shift_y), dim=1),
    )
    return torch.stack(rows, dim=1)


def _centre(offset_B: Tensor | None, image_size: int, side: int) -> Tensor | float:
    """Of the crop, in coordinates that span [-1, 1] along the image's side."""
    return 0.0 if offset_B is None else (2 * offset_B + (image_size - side)) / side
