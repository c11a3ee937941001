"""How bright the images of a batch are, and how much their pixels differ."""

import torch
from torch import Tensor

# B batch, C channels, S side of the square images


def brightened(images_BCSS: Tensor, factor_B: Tensor) -> Tensor:
    """Each pixel in [0, 1] times its image's factor, cut to [0, 1], as
    `torchvision.transforms.functional.adjust_brightness`.
    """
    return (images_BCSS * factor_B[:, None, None, None]).clamp_(0.0, 1.0)


def contrasted(images_BCSS: Tensor, factor_B: Tensor) -> Tensor:
    """Each pixel's distance from its image's mean times the image's factor, cut to [0, 1].

    The mean is that of all pixels and channels; `torchvision.transforms.functional.adjust_contrast` takes
    that of the luma, which is the same for gray images and lies apart for colour by how little channels
    differ.
    """
    mean_B111 = images_BCSS.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean_B111, images_BCSS, factor_B[:, None, None, None]).clamp_(0.0, 1.0)
