"""Random changes of training images, drawn for each image of a batch and applied to all of them at once, on
their device.

What moves pixels comes first, then brightness, contrast, and erasing; a policy of torchvision stands in the
place of all but crop and mirror. Policies excepted, nothing here waits for the device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.recipe.augmentation import Augmentation
from trainables.transforms.geometry import cropped, mirrored, moved
from trainables.transforms.parameters import Parameters, draw
from trainables.transforms.photometric import brightened, contrasted
from trainables.transforms.policies import changed_by_policy

# B batch, C channels, L side of the square images that come in, S side of those that go out, all tensors on
# one device


def augment(
    images_BCLL: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
    *,
    image_size: int,
    multiplier_B: Tensor | None = None,
) -> Tensor:
    """The images, float in [0, 1], cropped to (B, C, S, S) and each changed by its own draw.

    S is `image_size`, at most L; each crop lies anywhere with the same chance. `multiplier_B` multiplies the
    strength of each image, up to strength 1. All follows from the generator, which lies on the images'
    device; what changes nothing returns the images themselves.
    """
    crop_margin = images_BCLL.shape[3] - image_size
    if not crop_margin and not augmentation.is_active:
        return images_BCLL
    parameters = draw(
        len(images_BCLL),
        augmentation,
        generator,
        image_size=image_size,
        crop_margin=crop_margin,
        multiplier_B=multiplier_B,
    )
    images_BCSS = apply(images_BCLL, parameters, augmentation, image_size=image_size)
    return (
        images_BCSS
        if augmentation.policy == "affine"
        else changed_by_policy(images_BCSS, augmentation, generator)
    )


def apply(
    images_BCLL: Tensor, parameters: Parameters, augmentation: Augmentation, *, image_size: int
) -> Tensor:
    """The images under the given parameters, (B, C, S, S); crop and mirror alone are exact, no pixel is
    interpolated.
    """
    if augmentation.moves_pixels:
        images_BCSS = moved(images_BCLL, parameters, image_size=image_size, fill=augmentation.fill)
    else:
        images_BCSS = cropped(images_BCLL, parameters, image_size=image_size)
        if augmentation.flip_probability:
            images_BCSS = mirrored(images_BCSS, parameters.is_flipped)
    if augmentation.has_strength and augmentation.brightness_fraction:
        images_BCSS = brightened(images_BCSS, parameters.brightness)
    if augmentation.has_strength and augmentation.contrast_fraction:
        images_BCSS = contrasted(images_BCSS, parameters.contrast)
    if augmentation.has_strength and parameters.erased is not None:
        images_BCSS = images_BCSS.masked_fill(parameters.erased.mask(image_size), 0.0)
    return images_BCSS


def strength_multipliers(augmentation: Augmentation, num_by_class: Sequence[int]) -> tuple[float, ...] | None:
    """For each class of n training images (most / n) ** `rare_class_power`, at least 1; None where the power
    is 0.

    A class without images has 1.
    """
    if not augmentation.rare_class_power:
        return None
    most = max(num_by_class)
    return tuple((most / num) ** augmentation.rare_class_power if num else 1.0 for num in num_by_class)
