import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.recipe.augmentation import Augmentation
from trainables.transforms.augment import apply, augment
from trainables.transforms.parameters import draw

STRONG = Augmentation(strength=1.0, flip_probability=0.5, brightness_fraction=0.0)


def images(num: int, channels: int, side: int) -> torch.Tensor:
    return torch.rand(num, channels, side, side, generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(4, 20), st.integers(1, 9), st.sampled_from([1, 3]), st.sampled_from([0.0, 0.5]), st.booleans()
)
@settings(max_examples=30, deadline=None)
def test_a_crop_alone_is_a_slice(side, margin, channels, flip_probability, is_channels_last):
    augmentation = Augmentation(flip_probability=flip_probability)
    originals = images(6, channels, side + margin)
    if is_channels_last:
        originals = originals.contiguous(memory_format=torch.channels_last)
    parameters = draw(6, augmentation, generator(margin), image_size=side, crop_margin=margin)
    crops = augment(originals, augmentation, generator(margin), image_size=side)
    assert crops.shape == (6, channels, side, side)
    for i, crop in enumerate(crops):
        top, left = parameters.crop_top[i].item(), parameters.crop_left[i].item()
        expected = originals[i, :, top : top + side, left : left + side]
        assert torch.equal(crop, expected.flip(2) if parameters.is_flipped[i] else expected)


def test_every_crop_comes_equally_often():
    parameters = draw(9000, Augmentation(), generator(), image_size=8, crop_margin=2)
    counts = torch.bincount(3 * parameters.crop_top + parameters.crop_left, minlength=9)
    # Five standard deviations of a binomial count.
    assert counts.shape == (9,)
    assert (counts - 1000).abs().max() < 5 * (9000 * 1 / 9 * 8 / 9) ** 0.5


@pytest.mark.parametrize(("side", "margin"), [(17, 4), (16, 5), (9, 1)])
def test_a_crop_within_the_affine_map_is_the_crop_and_then_the_map(side, margin):
    originals = images(8, 2, side + margin)
    parameters = draw(8, STRONG, generator(), image_size=side, crop_margin=margin)
    together = apply(originals, parameters, STRONG, image_size=side)
    alone = dataclasses.replace(parameters, crop_top=None, crop_left=None)
    offsets = zip(originals, parameters.crop_top.tolist(), parameters.crop_left.tolist(), strict=True)
    crops = torch.stack([image[:, top : top + side, left : left + side] for image, top, left in offsets])
    one_by_one = apply(crops, alone, STRONG, image_size=side)
    # Where all that a pixel is made of lies within the crop, both read the same pixels, as the offset is a
    # whole number. Positions
    # of up to 22 pixels are rounded at 22 * 2**-24 some times over: 1e-5 pixels, and neighbours differ by at
    # most 1.
    is_within = apply(torch.ones_like(crops), alone, STRONG, image_size=side) > 0.99999
    assert is_within.float().mean() > 0.3
    torch.testing.assert_close(together[is_within], one_by_one[is_within], atol=1e-4, rtol=0)


def test_what_a_shift_brings_in_are_the_images_own_pixels():
    augmentation = dataclasses.replace(
        STRONG, rotation_degrees=0.0, shear_degrees=0.0, zoom_fraction=0.0, shift_fraction=0.25
    )
    white = torch.ones(20, 1, 24, 24)
    parameters = draw(20, augmentation, generator(), image_size=8, crop_margin=16)
    middle = dataclasses.replace(parameters, crop_top=torch.full((20,), 8), crop_left=torch.full((20,), 8))
    torch.testing.assert_close(apply(white, middle, augmentation, image_size=8), white[:, :, :8, :8])
    edge = dataclasses.replace(parameters, crop_top=torch.zeros(20).long())
    assert apply(white, edge, augmentation, image_size=8).min() == 0
