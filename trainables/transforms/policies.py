"""torchvision's policies of changes, a draw for each image."""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor

from trainables.devices.randomness import seeded
from trainables.recipe.augmentation import Augmentation

# B batch, C channels, S side of the square images


def changed_by_policy(images_BCSS: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """float32 images in [0, 1], each changed by its own draw of TrivialAugmentWide or RandAugment on its
    uint8 pixels.

    1 or 3 channels. Both policies shift by pixels and not by a share: TrivialAugmentWide by up to 32,
    whatever the side. Waits for the device; the process's random generators are neither read nor changed.
    """
    # torchvision draws from the process's generator, and once for all images of a call.
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    policy = _policy(augmentation)
    images_BCSS = images_BCSS.mul(255).round_().to(torch.uint8)
    with seeded(seed, "augmentation policy"):
        changed_BCSS = torch.stack([policy(image_CSS) for image_CSS in images_BCSS])
    return changed_BCSS.to(torch.float32).div_(255)


def _policy(augmentation: Augmentation) -> Callable[[Tensor], Tensor]:
    # torchvision's transforms take a second to import.
    from torchvision.transforms import v2

    policy: Callable[[Tensor], Tensor]
    match augmentation.policy:
        case "trivial":
            policy = v2.TrivialAugmentWide()
        case "rand":
            policy = v2.RandAugment(
                num_ops=augmentation.rand_operations, magnitude=augmentation.rand_magnitude
            )
        case "affine":
            raise AssertionError("the affine changes are no policy of torchvision")
        case _:
            assert_never(augmentation.policy)
    return policy
