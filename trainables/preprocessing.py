"""From stored uint8 images to what a model sees: resizing, scaling to [0, 1], normalisation. Training and prediction share it."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainables.datasets.manifest import Manifest
from trainables.models.building import pixel_statistics
from trainables.recipe.tree import Recipe

# N images, B batch, H height, W width as stored, C channels, S side of what the model sees

_CHUNK_PIXELS = 2**22


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to stored images before the model."""

    height: int
    """Pixels, as stored."""
    width: int
    channels: int
    image_size: int
    """Side in pixels of the square image that the model sees."""
    pixel_mean: tuple[float, ...]
    """By channel, subtracted from pixels in [0, 1]."""
    pixel_std: tuple[float, ...]
    """By channel, what is left is divided by."""

    @classmethod
    def of(cls, recipe: Recipe, manifest: Manifest) -> "Preprocessing":
        """The preprocessing that a recipe asks for on a dataset."""
        mean, std = _normalisation(recipe, manifest)
        return cls(
            height=manifest.height,
            width=manifest.width,
            channels=manifest.channels,
            image_size=recipe.data.image_size,
            pixel_mean=mean,
            pixel_std=std,
        )

    def resident(self, images_NHWC: NDArray[np.uint8], device: torch.device) -> Tensor:
        """The images on `device` as uint8 (N, H', W', C), ready for `scaled`.

        Images that are larger than the model's along an axis are shrunk here, once, with antialiasing; others stay as stored,
        and on a CPU share their memory, which must not be written to.
        """
        stored_NHWC = _without_copy(images_NHWC)
        if self.height <= self.image_size and self.width <= self.image_size:
            return stored_NHWC.to(device)
        return torch.cat([resized_uint8(chunk.to(device), self.image_size, self.image_size) for chunk in _chunks(stored_NHWC)])

    def scaled(self, images_BHWC: Tensor) -> Tensor:
        """float32 (B, C, S, S) in [0, 1], channels_last, from uint8 images of `resident`; smaller images are enlarged."""
        images_BCHW = images_BHWC.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        if images_BCHW.shape[2:] == (self.image_size, self.image_size):
            return images_BCHW
        return functional.interpolate(images_BCHW, size=(self.image_size, self.image_size), mode="bilinear", align_corners=False)

    def normalised(self, images_BCSS: Tensor) -> Tensor:
        """Mean 0 and deviation 1, about, by channel; channels_last."""
        mean_C11, std_C11 = _by_channel(self.pixel_mean, images_BCSS.device), _by_channel(self.pixel_std, images_BCSS.device)
        return images_BCSS.sub(mean_C11).div_(std_C11).contiguous(memory_format=torch.channels_last)


def resized_uint8(images_NHWC: Tensor, height: int, width: int) -> Tensor:
    """uint8 images at another size: bilinear, antialiased, rounded."""
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).to(torch.float32)
    resized_NCHW = functional.interpolate(images_NCHW, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    return resized_NCHW.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _normalisation(recipe: Recipe, manifest: Manifest) -> tuple[tuple[float, ...], tuple[float, ...]]:
    channels = manifest.channels
    if recipe.data.normalisation == "zero_one":
        return (0.0,) * channels, (1.0,) * channels
    if recipe.data.normalisation == "architecture":
        mean, std = pixel_statistics(recipe.model.architecture)
        return _for_channels(mean, channels), _for_channels(std, channels)
    # A channel that never varies has no deviation to divide by.
    return manifest.pixel_mean, tuple(std or 1.0 for std in manifest.pixel_std)


def _for_channels(colour: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return colour if len(colour) == channels else (sum(colour) / len(colour),) * channels


@lru_cache(maxsize=64)
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(C, 1, 1); kept, as copying it to a GPU at each step would wait for the GPU."""
    return torch.tensor(values, device=device)[:, None, None]


def _without_copy(images_NHWC: NDArray[np.uint8]) -> Tensor:
    with warnings.catch_warnings():
        # A mapped file is read-only, which a tensor cannot express; nothing writes to these.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(images_NHWC))


def _chunks(images_NHWC: Tensor) -> Iterator[Tensor]:
    num_pixels = images_NHWC.shape[1] * images_NHWC.shape[2]
    return iter(images_NHWC.split(max(_CHUNK_PIXELS // num_pixels, 1)))
