"""From stored uint8 images to what a model sees: resizing, scaling to [0, 1], crop, normalisation.

Training and prediction share it.
"""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.manifest import Manifest
from trainables.datasets.split import StoredImages
from trainables.models.building import pixel_statistics
from trainables.recipe.tree import Recipe

# N images, B batch, H height, W width as stored, C channels, L side before the crop, S side of what the model
# sees

_CHUNK_PIXELS = 2**22
_DECODED_AT_ONCE = 256
_LEAST_DEVIATION = 1 / 255
"""Of an image's own pixels: where they differ by less, there is nothing to see."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to stored images before the model."""

    height: int
    """Pixels, as stored; L for images that are stored at their own sizes."""
    width: int
    channels: int
    image_size: int
    """Side in pixels of the square image that the model sees."""
    pixel_mean: tuple[float, ...]
    """By channel, subtracted from pixels in [0, 1]."""
    pixel_std: tuple[float, ...]
    """By channel, what is left is divided by."""
    crop_margin: int = 0
    """Pixels by which images are scaled to more than `image_size` before they are cropped to it."""
    is_encoded: bool = False
    """Whether images are stored at their own sizes, as the files that they came in."""
    is_per_image: bool = False
    """Whether each image loses its own mean and is divided by its own deviation, in place of those above."""

    @classmethod
    def of(cls, recipe: Recipe, manifest: Manifest) -> "Preprocessing":
        """The preprocessing that a recipe asks for on a dataset."""
        mean, std = _normalisation(recipe, manifest)
        # Images at their own sizes are decoded to the size that is needed.
        side = recipe.data.image_size + recipe.data.crop_margin
        return cls(
            height=side if manifest.is_encoded else manifest.height,
            width=side if manifest.is_encoded else manifest.width,
            channels=manifest.channels,
            image_size=recipe.data.image_size,
            pixel_mean=mean,
            pixel_std=std,
            crop_margin=recipe.data.crop_margin,
            is_encoded=manifest.is_encoded,
            is_per_image=recipe.data.normalisation == "per_image",
        )

    @property
    def scaled_size(self) -> int:
        """L, the side in pixels of the square images that `scaled` returns."""
        return self.image_size + self.crop_margin

    @property
    def resident_bytes(self) -> int:
        """Of one image of `resident`."""
        return self.channels * (self.scaled_size**2 if self.is_shrunk else self.height * self.width)

    @property
    def is_shrunk(self) -> bool:
        """Whether `resident` makes images smaller than they are stored."""
        return self.height > self.scaled_size or self.width > self.scaled_size

    def resident(self, images: StoredImages, device: torch.device) -> Tensor:
        """The images on `device` as uint8 (N, H', W', C), ready for `scaled`.

        Images that are larger than L along an axis are shrunk here, once, with antialiasing; others stay as
        stored, and on a CPU share their memory, which must not be written to. Those at their own sizes are
        decoded here: the shorter side is scaled to L with antialiasing, and the middle is cut out.
        """
        if isinstance(images, EncodedImages):
            return self._decoded(images, device)
        stored_NHWC = _without_copy(images)
        if not self.is_shrunk:
            return stored_NHWC.to(device)
        return torch.cat([self.shrunk(chunk.to(device)) for chunk in _chunks(stored_NHWC)])

    def shrunk(self, images_NHWC: Tensor) -> Tensor:
        """uint8 images at side L, antialiased; what `resident` does to images that are larger."""
        return resized_uint8(images_NHWC, self.scaled_size, self.scaled_size)

    def scaled(self, images_BHWC: Tensor) -> Tensor:
        """float32 (B, C, L, L) in [0, 1], channels_last, from uint8 images of `resident`; smaller images are
        enlarged.
        """
        images_BCHW, side = images_BHWC.permute(0, 3, 1, 2).to(torch.float32).div_(255), self.scaled_size
        if images_BCHW.shape[2:] == (side, side):
            return images_BCHW
        return functional.interpolate(images_BCHW, size=(side, side), mode="bilinear", align_corners=False)

    def centre(self, images_BCLL: Tensor) -> Tensor:
        """The middle (B, C, S, S) of images of `scaled`, without a copy; of an odd margin, the odd pixel
        falls away below and right.
        """
        return self.middle(images_BCLL, self.image_size)

    def middle(self, images_BCLL: Tensor, side: int) -> Tensor:
        """The same with another side, from S to L."""
        first = (self.scaled_size - side) // 2
        return images_BCLL[:, :, first : first + side, first : first + side]

    def normalised(self, images_BCSS: Tensor) -> Tensor:
        """Mean 0 and deviation 1, about, by channel or by image; channels_last."""
        if self.is_per_image:
            return _standardised(images_BCSS)
        mean_C11, std_C11 = (
            _by_channel(self.pixel_mean, images_BCSS.device),
            _by_channel(self.pixel_std, images_BCSS.device),
        )
        return images_BCSS.sub(mean_C11).div_(std_C11).contiguous(memory_format=torch.channels_last)

    def _decoded(self, images: EncodedImages, device: torch.device) -> Tensor:
        shape = (len(images), self.scaled_size, self.scaled_size, self.channels)
        pixels_NLLC = torch.empty(shape, dtype=torch.uint8, device=device)
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            for start in range(0, len(images), _DECODED_AT_ONCE):
                rows = range(start, min(start + _DECODED_AT_ONCE, len(images)))
                decoded = list(threads.map(lambda row: images.fitted(row, self.scaled_size), rows))
                pixels_NLLC[start : rows.stop] = torch.from_numpy(np.stack(decoded)).to(device)
        return pixels_NLLC


def resized_uint8(images_NHWC: Tensor, height: int, width: int) -> Tensor:
    """uint8 images at another size: bilinear, antialiased, rounded."""
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).to(torch.float32)
    resized_NCHW = functional.interpolate(
        images_NCHW, size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )
    return resized_NCHW.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _normalisation(recipe: Recipe, manifest: Manifest) -> tuple[tuple[float, ...], tuple[float, ...]]:
    channels = manifest.channels
    match recipe.data.normalisation:
        case "zero_one" | "per_image":
            return (0.0,) * channels, (1.0,) * channels
        case "given":
            assert recipe.data.pixel_mean is not None
            assert recipe.data.pixel_std is not None
            return (recipe.data.pixel_mean,) * channels, (recipe.data.pixel_std,) * channels
        case "architecture":
            mean, std = pixel_statistics(recipe.model.architecture)
            return _for_channels(mean, channels), _for_channels(std, channels)
        case "dataset":
            # A channel that never varies has no deviation to divide by.
            return manifest.pixel_mean, tuple(std or 1.0 for std in manifest.pixel_std)
        case _:
            assert_never(recipe.data.normalisation)


def _for_channels(colour: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return colour if len(colour) == channels else (sum(colour) / len(colour),) * channels


def _standardised(images_BCSS: Tensor) -> Tensor:
    """Each image minus the mean over its pixels and channels, divided by their deviation; channels_last."""
    std_B111, mean_B111 = torch.std_mean(images_BCSS, dim=(1, 2, 3), correction=0, keepdim=True)
    normalised_BCSS = images_BCSS.sub(mean_B111).div_(std_B111.clamp_min_(_LEAST_DEVIATION))
    return normalised_BCSS.contiguous(memory_format=torch.channels_last)


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
