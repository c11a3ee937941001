import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision_functional
from waiting import NoReads

from trainables.recipe.augmentation import Augmentation
from trainables.transforms.augment import apply, augment, strength_multipliers
from trainables.transforms.parameters import Parameters, draw

STRONG = Augmentation(strength=1.0, flip_probability=0.5)
SIDE = 17
NO_GEOMETRY = {"rotation_degrees": 0.0, "shift_fraction": 0.0, "shear_degrees": 0.0, "zoom_fraction": 0.0}


def images(num: int = 6, channels: int = 2, side: int = SIDE) -> torch.Tensor:
    return torch.rand(num, channels, side, side, generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def still(num: int) -> Parameters:
    """Parameters that change nothing."""
    zero, one = torch.zeros(num), torch.ones(num)
    fields = {field.name: zero for field in dataclasses.fields(Parameters)}
    factors = {"zoom_x": one, "zoom_y": one, "brightness": one, "contrast": one}
    return Parameters(
        **{
            **fields,
            **factors,
            "is_flipped": zero.bool(),
            "crop_top": None,
            "crop_left": None,
            "erased": None,
        }
    )


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_torchvision_where_axes_zoom_together(seed):
    parameters = draw(6, STRONG, generator(seed), image_size=SIDE)
    changed = apply(images(), parameters, STRONG, image_size=SIDE)
    for i, image in enumerate(images()):
        expected = torchvision_functional.affine(
            image.flip(2) if parameters.is_flipped[i] else image,
            angle=parameters.rotation_degrees[i].item(),
            translate=[parameters.shift_x[i].item() * SIDE, parameters.shift_y[i].item() * SIDE],
            scale=parameters.zoom_x[i].item(),
            shear=[parameters.shear_degrees[i].item(), 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        expected = (expected * parameters.brightness[i]).clamp(0, 1)
        torch.testing.assert_close(changed[i], expected, atol=1e-4, rtol=0)


def test_agrees_with_scipy_where_axes_zoom_apart():
    augmentation = dataclasses.replace(STRONG, zoom_axes="apart", brightness_fraction=0.0)
    parameters = draw(6, augmentation, generator(), image_size=SIDE)
    assert not torch.equal(parameters.zoom_x, parameters.zoom_y)
    changed = apply(images(), parameters, augmentation, image_size=SIDE)
    for i, image in enumerate(images().numpy()):
        sources = _sources(parameters, i)
        expected = np.stack(
            [map_coordinates(np.pad(channel, 1), sources + 1, order=1, mode="constant") for channel in image]
        )
        np.testing.assert_allclose(changed[i].numpy(), expected, atol=1e-4)


def _sources(parameters: Parameters, i: int) -> np.ndarray:
    """Where each pixel comes from, (2, H, W) rows first, by inverting a product of 3x3 matrices written down
    one by one.
    """
    angle, shear = (
        np.radians(parameters.rotation_degrees[i].item()),
        np.radians(parameters.shear_degrees[i].item()),
    )
    shift = np.eye(3)
    shift[:2, 2] = parameters.shift_x[i].item() * SIDE, parameters.shift_y[i].item() * SIDE
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    slant = np.array([[1, -np.tan(shear), 0], [0, 1, 0], [0, 0, 1]])
    zoom = np.diag([parameters.zoom_x[i].item(), parameters.zoom_y[i].item(), 1])
    mirror = np.diag([-1.0 if parameters.is_flipped[i] else 1.0, 1, 1])
    to_source = np.linalg.inv(shift @ rotation @ slant @ zoom @ mirror)
    centre = (SIDE - 1) / 2
    y, x = np.mgrid[:SIDE, :SIDE] - centre
    source = to_source @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return (source[[1, 0]] + centre).reshape(2, SIDE, SIDE)


AUGMENTATIONS = st.builds(
    Augmentation,
    strength=st.floats(0, 1),
    rotation_degrees=st.floats(0, 180),
    shift_fraction=st.floats(0, 1),
    shear_degrees=st.floats(0, 60),
    zoom_fraction=st.floats(0, 0.9),
    zoom_axes=st.sampled_from(["together", "apart"]),
    brightness_fraction=st.floats(0, 1),
    contrast_fraction=st.floats(0, 1),
)


ALL_CHANGES = st.builds(
    Augmentation,
    strength=st.sampled_from([0.0, 1.0]),
    rotation_degrees=st.sampled_from([0.0, 35.0]),
    shift_fraction=st.just(0.0),
    shear_degrees=st.just(0.0),
    zoom_fraction=st.just(0.0),
    brightness_fraction=st.sampled_from([0.0, 1.0]),
    contrast_fraction=st.sampled_from([0.0, 1.0]),
    erase_probability=st.sampled_from([0.0, 0.7]),
    flip_probability=st.sampled_from([0.0, 0.5]),
    fill=st.sampled_from(["zeros", "border", "reflection"]),
)


@given(AUGMENTATIONS)
@settings(max_examples=50, deadline=None)
def test_draws_stay_within_the_recipes_ranges(augmentation):
    drawn = draw(64, augmentation, generator(), image_size=SIDE)
    for values, centre, radius in (
        (drawn.rotation_degrees, 0, augmentation.rotation_degrees),
        (drawn.shift_x, 0, augmentation.shift_fraction),
        (drawn.shift_y, 0, augmentation.shift_fraction),
        (drawn.shear_degrees, 0, augmentation.shear_degrees),
        (drawn.zoom_x, 1, augmentation.zoom_fraction),
        (drawn.zoom_y, 1, augmentation.zoom_fraction),
        (drawn.brightness, 1, augmentation.brightness_fraction),
        (drawn.contrast, 1, augmentation.contrast_fraction),
    ):
        assert ((values - centre).abs() <= augmentation.strength * radius * (1 + 1e-5) + 1e-6).all()
    assert not drawn.is_flipped.any()
    assert torch.equal(drawn.zoom_x, drawn.zoom_y) or augmentation.zoom_axes == "apart"


def test_draws_fill_their_ranges():
    drawn = draw(4000, STRONG, generator(), image_size=SIDE)
    assert drawn.rotation_degrees.min() < -34.5
    assert drawn.rotation_degrees.max() > 34.5
    assert drawn.zoom_x.min() < 0.61
    assert drawn.zoom_x.max() > 1.39
    assert drawn.is_flipped.float().mean() == pytest.approx(0.5, abs=0.03)


def test_strength_zero_changes_nothing_but_flips():
    unchanged = images()
    assert (
        augment(
            unchanged, Augmentation(erase_probability=1, contrast_fraction=1), generator(), image_size=SIDE
        )
        is unchanged
    )
    assert not Augmentation(strength=0.0).is_active
    assert Augmentation(strength=0.0, flip_probability=0.1).is_active
    assert Augmentation(strength=0.0, policy="trivial").is_active


def test_a_flip_alone_is_exact():
    flipped = augment(images(), Augmentation(flip_probability=1.0), generator(), image_size=SIDE)
    assert torch.equal(flipped, images().flip(3))
    some = augment(images(64), Augmentation(flip_probability=0.5), generator(), image_size=SIDE)
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(some, images(64), strict=True)])
    mirrored = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(some, images(64), strict=True)])
    assert (kept ^ mirrored).all()
    assert 16 < kept.sum() < 48


def test_parameters_that_change_nothing_return_the_image():
    torch.testing.assert_close(
        apply(images(), still(6), STRONG, image_size=SIDE), images(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("fill", "uncovered"), [("zeros", 0.0), ("border", 1.0), ("reflection", 1.0)])
def test_what_the_image_was_moved_away_from_is_filled(fill, uncovered):
    white = torch.ones(1, 1, 8, 8)
    parameters = dataclasses.replace(still(1), shift_x=torch.tensor([0.5]))
    moved = apply(white, parameters, dataclasses.replace(STRONG, fill=fill), image_size=8)
    assert moved[0, 0, 4, 1].item() == uncovered
    assert moved[0, 0, 4, 6].item() == pytest.approx(1.0)


def test_contrast_follows_brightness_and_both_are_torchvisions_for_gray_images():
    augmentation = Augmentation(strength=1.0, brightness_fraction=0.9, contrast_fraction=0.9, **NO_GEOMETRY)
    parameters = draw(6, augmentation, generator(), image_size=SIDE)
    changed = apply(images(channels=1), parameters, augmentation, image_size=SIDE)
    for i, image in enumerate(images(channels=1)):
        bright = torchvision_functional.adjust_brightness(image, parameters.brightness[i].item())
        expected = torchvision_functional.adjust_contrast(bright, parameters.contrast[i].item())
        torch.testing.assert_close(changed[i], expected, atol=1e-6, rtol=0)


@given(ALL_CHANGES, st.integers(0, 5), st.sampled_from([1, 3]), st.integers(4, 19))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_replays_the_same_images_in_0_to_1(augmentation, crop_margin, channels, side):
    original = images(5, channels, side + crop_margin)
    kept = original.clone()
    state = torch.random.get_rng_state()
    changed = augment(original, augmentation, generator(3), image_size=side)
    assert torch.equal(changed, augment(original, augmentation, generator(3), image_size=side))
    assert torch.equal(original, kept)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert changed.shape == (5, channels, side, side)
    assert changed.dtype == torch.float32
    # The weights of four neighbours add up to 1 but for float32's rounding.
    assert -1e-6 <= changed.min() <= changed.max() <= 1 + 1e-6


def test_other_seeds_give_other_images():
    first, second = (augment(images(), STRONG, generator(seed), image_size=SIDE) for seed in (3, 4))
    assert not torch.equal(first, second)


def test_a_batch_never_waits_for_the_device():
    augmentation = dataclasses.replace(STRONG, contrast_fraction=0.5, erase_probability=0.5)
    with NoReads():
        augment(images(), augmentation, generator(), image_size=SIDE - 3, multiplier_B=torch.ones(6))
        augment(images(), Augmentation(flip_probability=0.5), generator(), image_size=SIDE - 3)
    with pytest.raises(AssertionError, match="waits for the device"), NoReads():
        images().sum().item()


def test_rare_classes_change_more():
    augmentation = Augmentation(strength=0.2, rare_class_power=0.5)
    assert strength_multipliers(augmentation, [1600, 400, 100, 0]) == (1.0, 2.0, 4.0, 1.0)
    assert strength_multipliers(Augmentation(strength=0.2), [100, 50]) is None
    multiplier_B = torch.tensor([1.0, 2.0, 5.0, 1000.0])
    one, two, most, capped = draw(
        4, augmentation, generator(), image_size=SIDE, multiplier_B=multiplier_B
    ).rotation_degrees
    plain = draw(4, augmentation, generator(), image_size=SIDE).rotation_degrees
    torch.testing.assert_close(torch.stack((one, two, most, capped)), plain * torch.tensor([1, 2, 5, 5]))
    # The same images under the same draws, once as a frequent class and once as a rare one.
    frequent, rare = (
        augment(
            images(50), augmentation, generator(), image_size=SIDE, multiplier_B=torch.full((50,), factor)
        )
        for factor in (1.0, 4.0)
    )
    assert (rare - images(50)).abs().mean() > 1.3 * (frequent - images(50)).abs().mean()
    torch.testing.assert_close(
        frequent, augment(images(50), augmentation, generator(), image_size=SIDE), atol=1e-4, rtol=0
    )
