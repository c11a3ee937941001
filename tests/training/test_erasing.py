import pytest
import torch
from torchvision.transforms import RandomErasing

from trainables.recipe.augmentation import Augmentation
from trainables.transforms.augment import augment
from trainables.transforms.parameters import draw

SIDE = 48


def erasing(probability: float = 1.0, strength: float = 1.0) -> Augmentation:
    return Augmentation(
        strength=strength,
        rotation_degrees=0.0,
        shift_fraction=0.0,
        shear_degrees=0.0,
        zoom_fraction=0.0,
        brightness_fraction=0.0,
        erase_probability=probability,
    )


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("side", "channels"), [(48, 1), (31, 3), (5, 1)])
def test_one_rectangle_of_the_image_is_black_and_the_rest_stays(side, channels):
    white = torch.rand(40, channels, side, side, generator=generator()) + 0.5
    erased = augment(white, erasing(), generator(), image_size=side)
    is_black = erased == 0
    assert torch.equal(erased[~is_black], white[~is_black])
    assert torch.equal(is_black.all(1), is_black.any(1))
    rows, columns = is_black.any(3)[:, 0], is_black.any(2)[:, 0]
    assert torch.equal(is_black[:, 0], rows[:, :, None] & columns[:, None, :])
    for along in (rows, columns):
        num_starts = (along[:, 1:] & ~along[:, :-1]).sum(1) + along[:, 0]
        assert (num_starts == 1).all()


def test_areas_and_sides_are_those_of_torchvision():
    ours = draw(3000, erasing(), generator(), image_size=SIDE).erased
    area, ratio = ours.height * ours.width / SIDE**2, ours.height / ours.width
    # Sides are rounded to whole pixels: of the smallest areas' shorter side, 4 pixels, that is an eighth.
    assert 0.02 * 0.85 < area.min() < 0.025
    assert 0.32 < area.max() < 0.33 * 1.05
    assert 0.3 * 0.85 < ratio.min() < 0.35
    assert 3.0 < ratio.max() < 3.3 * 1.15
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.zeros(1, SIDE, SIDE)
        drawn = [
            RandomErasing.get_params(image, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=[0.0])[:4]
            for _ in range(1500)
        ]
    theirs = torch.tensor(drawn, dtype=torch.float32)
    for values, expected in zip(
        (ours.top, ours.left, ours.height, ours.width), theirs.unbind(1), strict=True
    ):
        # Four standard errors of the difference of two means; standard deviations lie near 9 pixels.
        assert values.float().mean() == pytest.approx(
            expected.mean().item(), abs=4 * 9 * (1 / 3000 + 1 / 1500) ** 0.5
        )
        assert values.float().std() == pytest.approx(expected.std().item(), rel=0.1)


def test_the_chance_is_multiplied_by_strength_and_rarity():
    def share(augmentation: Augmentation, multiplier: float) -> float:
        drawn = draw(
            4000, augmentation, generator(), image_size=SIDE, multiplier_B=torch.full((4000,), multiplier)
        )
        return (drawn.erased.height > 0).float().mean().item()

    assert share(erasing(0.5), 1.0) == pytest.approx(0.5, abs=0.04)
    assert share(erasing(0.5, strength=0.4), 1.0) == pytest.approx(0.2, abs=0.03)
    assert share(erasing(0.5, strength=0.4), 2.0) == pytest.approx(0.4, abs=0.04)
    assert share(erasing(0.5, strength=0.4), 9.0) == pytest.approx(0.5, abs=0.04)
    assert draw(4, erasing(0.0), generator(), image_size=SIDE).erased is None
