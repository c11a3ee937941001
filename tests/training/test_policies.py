import pytest
import torch
from torchvision.transforms import v2

from trainables.devices.randomness import seeded
from trainables.recipe.augmentation import Augmentation
from trainables.transforms.augment import augment
from trainables.transforms.policies import changed_by_policy

TRIVIAL, RAND = (
    Augmentation(policy="trivial"),
    Augmentation(policy="rand", rand_operations=3, rand_magnitude=20),
)
POLICIES = pytest.mark.parametrize("augmentation", [TRIVIAL, RAND], ids=["trivial", "rand"])


def images(num: int = 6, channels: int = 1, side: int = 17) -> torch.Tensor:
    return torch.randint(256, (num, channels, side, side), generator=generator(1)) / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@POLICIES
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_goes_through_torchvisions_policy_by_itself(augmentation, channels):
    policy = v2.TrivialAugmentWide() if augmentation is TRIVIAL else v2.RandAugment(num_ops=3, magnitude=20)
    seed = torch.randint(2**63 - 1, (), generator=generator()).item()
    with seeded(seed, "augmentation policy"):
        expected = [policy((image * 255).round().to(torch.uint8)) for image in images(channels=channels)]
    changed = changed_by_policy(images(channels=channels), augmentation, generator())
    assert torch.equal(changed, torch.stack(expected) / 255)


@POLICIES
def test_equal_images_of_a_batch_change_differently(augmentation):
    same = images(1).expand(12, 1, 17, 17)
    changed = augment(same, augmentation, generator(), image_size=17)
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 6


@POLICIES
@pytest.mark.parametrize(("channels", "side", "margin"), [(1, 13, 0), (3, 16, 3)])
def test_the_same_seed_replays_the_same_images_and_no_other_randomness_moves(
    augmentation, channels, side, margin
):
    originals = images(4, channels, side + margin)
    state = torch.random.get_rng_state()
    changed = augment(originals, augmentation, generator(3), image_size=side)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(changed, augment(originals, augmentation, generator(3), image_size=side))
    assert not torch.equal(changed, augment(originals, augmentation, generator(4), image_size=side))
    assert changed.shape == (4, channels, side, side)
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(originals, images(4, channels, side + margin))


def test_crop_and_mirror_come_before_the_policy_and_strength_counts_for_nothing():
    # RandAugment of magnitude 0 changes by 0, but for operations without a magnitude.
    mild = Augmentation(policy="rand", rand_magnitude=0, rand_operations=1, flip_probability=1.0)
    originals = images(30, side=12)
    changed = augment(originals, mild, generator(), image_size=11)
    views = originals.flip(3).unfold(2, 11, 1).unfold(3, 11, 1).flatten(2, 3)[:, 0]
    is_exact = (changed[:, None, 0] == views).all((2, 3)).any(1)
    assert is_exact.float().mean() > 0.5
    strong = Augmentation(policy="trivial", strength=1.0, contrast_fraction=1.0, erase_probability=1.0)
    assert torch.equal(
        augment(originals, strong, generator(), image_size=12),
        augment(originals, TRIVIAL, generator(), image_size=12),
    )
