"""Random changes of training images, drawn for each image of a batch and applied to all of them at once, on their device.

Geometry is that of `torchvision.transforms.functional.affine`: clockwise degrees, about the centre of the image. Rotation, shift,
shear, zoom and mirroring are one affine map, so that pixels are interpolated once.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.recipe.augmentation import Augmentation

# B batch, C channels, S side of the square image, all tensors on one device

_NUM_DRAWS = 8


def augment(images_BCSS: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The images, float in [0, 1], each changed by its own draw; all draws come from one call of the generator."""
    if not is_active(augmentation):
        return images_BCSS
    return apply(images_BCSS, draw(len(images_BCSS), augmentation, generator), augmentation)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What happens to each image of a batch; every field is (B,)."""

    rotation_degrees: Tensor
    shift_x: Tensor
    """Share of the side, to the right."""
    shift_y: Tensor
    """Share of the side, downwards."""
    shear_degrees: Tensor
    zoom_x: Tensor
    """Above 1 enlarges."""
    zoom_y: Tensor
    brightness: Tensor
    """Factor on every pixel."""
    is_flipped: Tensor
    """bool: mirrored left to right before everything else."""


def draw(num_images: int, augmentation: Augmentation, generator: torch.Generator) -> Parameters:
    """Parameters within the recipe's ranges; the draws do not depend on which of them are active."""
    uniform_kB = torch.rand(num_images, _NUM_DRAWS, generator=generator, device=generator.device).unbind(1)
    rotation, shift_x, shift_y, shear, zoom_x, zoom_y, brightness, flip = uniform_kB
    strength = augmentation.strength
    zoom = strength * augmentation.zoom_fraction
    return Parameters(
        rotation_degrees=_around(0.0, strength * augmentation.rotation_degrees, rotation),
        shift_x=_around(0.0, strength * augmentation.shift_fraction, shift_x),
        shift_y=_around(0.0, strength * augmentation.shift_fraction, shift_y),
        shear_degrees=_around(0.0, strength * augmentation.shear_degrees, shear),
        zoom_x=_around(1.0, zoom, zoom_x),
        zoom_y=_around(1.0, zoom, zoom_x if augmentation.zoom_axes == "together" else zoom_y),
        brightness=_around(1.0, strength * augmentation.brightness_fraction, brightness),
        is_flipped=flip < augmentation.flip_probability,
    )


def apply(images_BCSS: Tensor, parameters: Parameters, augmentation: Augmentation) -> Tensor:
    """The images under the given parameters; a mirror image alone is exact, no pixel is interpolated."""
    if _moves_pixels(augmentation):
        grid_BSS2 = functional.affine_grid(_theta(parameters), list(images_BCSS.shape), align_corners=False)
        images_BCSS = functional.grid_sample(images_BCSS, grid_BSS2, padding_mode=augmentation.fill, align_corners=False)
    elif augmentation.flip_probability:
        images_BCSS = torch.where(parameters.is_flipped[:, None, None, None], images_BCSS.flip(3), images_BCSS)
    if augmentation.strength * augmentation.brightness_fraction:
        images_BCSS = (images_BCSS * parameters.brightness[:, None, None, None]).clamp_(0.0, 1.0)
    return images_BCSS


def is_active(augmentation: Augmentation) -> bool:
    """Whether anything can happen to an image."""
    return bool(_moves_pixels(augmentation) or augmentation.flip_probability or augmentation.strength * augmentation.brightness_fraction)


def _moves_pixels(augmentation: Augmentation) -> bool:
    ranges = (augmentation.rotation_degrees, augmentation.shift_fraction, augmentation.shear_degrees, augmentation.zoom_fraction)
    return augmentation.strength > 0 and any(ranges)


def _around(centre: float, radius: float, uniform_B: Tensor) -> Tensor:
    return centre + radius * (2 * uniform_B - 1)


def _theta(parameters: Parameters) -> Tensor:
    """(B, 2, 3): where each output pixel comes from, in coordinates that span [-1, 1] along a side.

    The forward map is shift @ rotation @ shear @ zoom @ mirror; this is its inverse.
    """
    angle, shear = (degrees * (math.pi / 180) for degrees in (parameters.rotation_degrees, parameters.shear_degrees))
    cosine, sine, slant = angle.cos(), angle.sin(), shear.tan()
    mirror = 1.0 - 2.0 * parameters.is_flipped.to(angle.dtype)
    x_of_x = mirror * (cosine - sine * slant) / parameters.zoom_x
    x_of_y = mirror * (sine + cosine * slant) / parameters.zoom_x
    y_of_x, y_of_y = -sine / parameters.zoom_y, cosine / parameters.zoom_y
    shift_x, shift_y = 2 * parameters.shift_x, 2 * parameters.shift_y
    rows = (
        torch.stack((x_of_x, x_of_y, -x_of_x * shift_x - x_of_y * shift_y), dim=1),
        torch.stack((y_of_x, y_of_y, -y_of_x * shift_x - y_of_y * shift_y), dim=1),
    )
    return torch.stack(rows, dim=1)
