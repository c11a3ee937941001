"""A few changed versions of each training image, drawn once, in place of fresh ones at each epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.devices.randomness import generator
from trainables.recipe.augmentation import Augmentation
from trainables.transforms.augment import apply
from trainables.transforms.parameters import Parameters, chosen, draw

# N images, B batch, C channels, L side of the square images that come in, S side of those that go out

VIEWS_SEED = 0
"""Not the recipe's: all recipes that draw as many images' views from the same ranges have the same ones."""


class FixedViews:
    """What happens to each of N images in each of its views."""

    def __init__(
        self,
        augmentation: Augmentation,
        *,
        image_size: int,
        crop_margin: int,
        num_images: int,
        multiplier_N: Tensor | None,
        device: torch.device,
    ) -> None:
        """`multiplier_N` multiplies the strength of each image, up to strength 1."""
        assert augmentation.fixed_views is not None
        self.num_views = augmentation.fixed_views
        self._augmentation = augmentation
        self._image_size = image_size
        self._crop_margin = crop_margin
        self._num_images = num_images
        self._multiplier_N = multiplier_N
        self._device = device
        self._drawn: tuple[int, Parameters] | None = None
        """The view that was asked for last."""

    def of_epoch(self, epoch: int) -> int:
        """The view that an epoch, counted from 0 over all phases, shows."""
        return epoch % self.num_views

    def changed(self, images_BCLL: Tensor, positions_B: Tensor, view: int) -> Tensor:
        """The images at these positions among the N, (B, C, S, S), in a view."""
        if self._drawn is None or self._drawn[0] != view:
            self._drawn = view, self._draw(view)
        parameters = chosen(self._drawn[1], positions_B)
        return apply(images_BCLL, parameters, self._augmentation, image_size=self._image_size)

    def _draw(self, view: int) -> Parameters:
        return draw(
            self._num_images,
            self._augmentation,
            generator(self._device, VIEWS_SEED, "view", view),
            image_size=self._image_size,
            crop_margin=self._crop_margin,
            multiplier_B=self._multiplier_N,
        )


def fixed_views(
    augmentation: Augmentation,
    *,
    image_size: int,
    crop_margin: int,
    labels_N: Tensor,
    multipliers: Sequence[float] | None,
    device: torch.device,
) -> FixedViews | None:
    """The views of N training images on a device, of which `multipliers` has one for each class; None where
    the recipe has none, or its images never change.
    """
    if augmentation.fixed_views is None or not (augmentation.is_active or crop_margin):
        return None
    multiplier_N = (
        None if multipliers is None else torch.tensor(multipliers, device=device)[labels_N.to(device)]
    )
    return FixedViews(
        augmentation,
        image_size=image_size,
        crop_margin=crop_margin,
        num_images=len(labels_N),
        multiplier_N=multiplier_N,
        device=device,
    )
