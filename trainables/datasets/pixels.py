"""From the bytes of one image to the pixels that are stored."""

import hashlib
import math
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainables.datasets.options import AddOptions

MAX_PIXELS = 89_478_485
"""Of one image, as Pillow has it: a larger one of few bytes unpacks to gigabytes."""
REDUCING_GAP = 2.0
"""A picture is decoded at this many times the side that it is resized to, or more: Pillow's documentation
calls the difference to all of it hardly visible from 2 on."""
GRAY_MODES = ("1", "L", "LA", "La")
_ONE_AT_A_TIME = threading.Lock()
"""Threads share the filters of warnings: two that change them at once leave them wrong."""
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def decode(image: bytes | NDArray[np.uint8], options: AddOptions) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of an encoded image, or of an array (H, W) or (H, W, 3): turned upright, resized,
    permuted.

    C is 1 for gray and 3 for RGB, unless the options fix it. Raises whatever Pillow raises on damaged bytes.
    """
    pixels = decoded_pixels(image, options.channels, options.image_size)
    return pixels if options.permute_seed is None else permute(pixels, options.permute_seed)


def decoded_pixels(
    image: bytes | NDArray[np.uint8], channels: int | None = None, side: int | None = None
) -> NDArray[np.uint8]:
    """Pixels (H, W, C), turned upright; with a `side`, the shorter side is scaled to it with antialiasing,
    and the middle square is cut out. Raises as `decode` does.
    """
    picture = _picture(image, channels)
    if side is not None:
        picture = ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)
    return _array(picture)


def fitted_pixels(image: bytes | NDArray[np.uint8], channels: int, side: int) -> NDArray[np.uint8]:
    """Pixels (side, side, C) of an image that is kept at its own size: as `decoded_pixels` makes them, but
    that a large JPEG is decoded at a half, a quarter or an eighth of its size, which is several times faster.
    Raises as `decode` does.
    """
    picture = _picture(image, channels, least_side=REDUCING_GAP * side)
    return _array(ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS))


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image of any size; four numbers."""

    area: float
    """Share of the image's area, above 0 and at most 1."""
    ratio: float
    """Width by height, in pixels."""
    left: float
    """Share of the room beside the rectangle that lies left of it, in [0, 1]."""
    top: float
    """Likewise above it."""


def cropped_pixels(image: bytes, channels: int, side: int, crop: Crop) -> NDArray[np.uint8]:
    """Pixels (side, side, C) of a rectangle of the image, which is cut where it is wider or higher than the
    image. Raises as `decode` does.
    """
    picture = _picture(image, channels, least_side=REDUCING_GAP * side / math.sqrt(crop.area))
    size = math.sqrt(crop.area * picture.width * picture.height)
    width = min(max(size * math.sqrt(crop.ratio), 1.0), picture.width)
    height = min(max(size / math.sqrt(crop.ratio), 1.0), picture.height)
    left, top = crop.left * (picture.width - width), crop.top * (picture.height - height)
    # Sums of fractions may pass the edge by a rounding, which Pillow refuses.
    box = (left, top, min(left + width, picture.width), min(top + height, picture.height))
    return _array(picture.resize((side, side), Image.Resampling.LANCZOS, box=box))


def num_pixels(image: bytes | NDArray[np.uint8]) -> int:
    """Pixels of an image, from the header of an encoded one alone; more than MAX_PIXELS where Pillow itself
    refuses it. Raises what Pillow raises on damaged bytes.
    """
    if isinstance(image, np.ndarray):
        return int(image.shape[0]) * int(image.shape[1])
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(image)) as picture:
                return picture.width * picture.height
        except Image.DecompressionBombError:
            return MAX_PIXELS + 1


def pixel_digest(pixels: NDArray[np.uint8]) -> bytes:
    """16 bytes that are equal for two images if and only if their shape and pixels are."""
    return hashlib.blake2b(
        np.ascontiguousarray(pixels).data, digest_size=16, person=_shape_tag(pixels.shape)
    ).digest()


def permute(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """The image (H, W, C) with its pixel positions permuted: the same permutation for one seed and size."""
    height, width, channels = pixels.shape
    return pixels.reshape(-1, channels)[_permutation(height * width, seed)].reshape(pixels.shape)


@lru_cache(maxsize=8)
def _permutation(num_positions: int, seed: int) -> NDArray[np.int64]:
    # RandomState's stream is frozen for ever (NEP 19): the same seed is the same dataset under any numpy.
    return np.random.RandomState(seed).permutation(num_positions)


def _picture(
    image: bytes | NDArray[np.uint8], channels: int | None, least_side: float | None = None
) -> Image.Image:
    """Gray or RGB; of a JPEG, at least so many pixels of its shorter side are enough."""
    opened = Image.fromarray(image) if isinstance(image, np.ndarray) else _open(image, least_side)
    picture = _to_gray_or_rgb(opened)
    return picture if channels is None else _converted(picture, "L" if channels == 1 else "RGB")


def _array(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture)
    return pixels.reshape(*pixels.shape[:2], -1)


def _open(encoded: bytes, least_side: float | None) -> Image.Image:
    picture = Image.open(BytesIO(encoded))
    if least_side is not None:
        picture.draft(None, (math.ceil(least_side), math.ceil(least_side)))  # only JPEGs heed it
    # In place, and below without a conversion to the same mode: each would copy all pixels.
    ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _to_gray_or_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255, which turns most 16-bit images white.
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    return _converted(picture, "L" if picture.mode in GRAY_MODES else "RGB")


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    return picture if picture.mode == mode else picture.convert(mode)


def _shape_tag(shape: tuple[int, ...]) -> bytes:
    return b"".join(side.to_bytes(4, "little") for side in shape)
