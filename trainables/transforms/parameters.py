"""What happens to each image of a batch, drawn within a recipe's ranges."""

from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor

from trainables.recipe.augmentation import Augmentation
from trainables.transforms.rectangles import Rectangles, erasing_rectangles

# B batch, k draws for each image

_NUM_DRAWS = 16
_NUM_SIGNED = 8
"""Of these, those that lie on both sides of what changes nothing; they come first."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What happens to each image of a batch; every tensor is (B,)."""

    crop_top: Tensor | None
    """int64, pixels above the crop; None where there is no margin to crop."""
    crop_left: Tensor | None
    """int64, pixels left of the crop, likewise."""
    rotation_degrees: Tensor
    shift_x: Tensor
    """Share of the crop's side, to the right."""
    shift_y: Tensor
    """Share of the crop's side, downwards."""
    shear_degrees: Tensor
    zoom_x: Tensor
    """Above 1 enlarges."""
    zoom_y: Tensor
    brightness: Tensor
    """Factor on every pixel."""
    contrast: Tensor
    """Factor on every pixel's distance from the image's mean."""
    is_flipped: Tensor
    """bool: mirrored left to right, right after the crop."""
    erased: Rectangles | None
    """Set to 0, at last; some may be empty, None where all are."""


def draw(
    num_images: int,
    augmentation: Augmentation,
    generator: torch.Generator,
    *,
    image_size: int,
    crop_margin: int = 0,
    multiplier_B: Tensor | None = None,
) -> Parameters:
    """Parameters within the recipe's ranges, from one call of the generator; the draws do not depend on which
    of them are active.

    `multiplier_B` multiplies the strength of each image, up to strength 1.
    """
    uniform_Bk = torch.rand(num_images, _NUM_DRAWS, generator=generator, device=generator.device)
    strength = _strength(augmentation, multiplier_B)
    rotation, shift_x, shift_y, shear, zoom_x, zoom_y, brightness, contrast = (
        2 * uniform_Bk[:, :_NUM_SIGNED] - 1
    ).unbind(1)
    flip, top, left, erase, *rectangle = uniform_Bk[:, _NUM_SIGNED:].unbind(1)
    shift, zoom = strength * augmentation.shift_fraction, strength * augmentation.zoom_fraction
    is_erased = erase < strength * augmentation.erase_probability if augmentation.erase_probability else None
    return Parameters(
        crop_top=_offset(crop_margin, top),
        crop_left=_offset(crop_margin, left),
        rotation_degrees=strength * augmentation.rotation_degrees * rotation,
        shift_x=shift * shift_x,
        shift_y=shift * shift_y,
        shear_degrees=strength * augmentation.shear_degrees * shear,
        zoom_x=1 + zoom * zoom_x,
        zoom_y=1 + zoom * (zoom_x if augmentation.zoom_axes == "together" else zoom_y),
        brightness=1 + strength * augmentation.brightness_fraction * brightness,
        contrast=1 + strength * augmentation.contrast_fraction * contrast,
        is_flipped=flip < augmentation.flip_probability,
        erased=None if is_erased is None else erasing_rectangles(is_erased, rectangle, image_size),
    )


def chosen(parameters: Parameters, positions_b: Tensor) -> Parameters:
    """What happens to the images at these positions of the batch."""
    return cast(Parameters, _at(parameters, positions_b))


def _at(value: Any, positions_b: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[positions_b]
    if value is None:
        return None
    return type(value)(**{one.name: _at(getattr(value, one.name), positions_b) for one in fields(value)})


def _strength(augmentation: Augmentation, multiplier_B: Tensor | None) -> float | Tensor:
    return (
        augmentation.strength
        if multiplier_B is None
        else (augmentation.strength * multiplier_B).clamp(max=1.0)
    )


def _offset(margin: int, uniform_B: Tensor) -> Tensor | None:
    # float32 may round a draw just below 1 up to margin + 1.
    return (uniform_B * (margin + 1)).long().clamp(max=margin) if margin else None
