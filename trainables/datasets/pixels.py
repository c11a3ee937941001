"""From the bytes of one image to the pixels that are stored."""

import hashlib
import warnings
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainables.datasets.options import AddOptions

MAX_PIXELS = 89_478_485
"""Of one image, as Pillow has it: a larger one of few bytes unpacks to gigabytes."""
GRAY_MODES = ("1", "L", "LA", "La")
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def decode(image: bytes | NDArray[np.uint8], options: AddOptions) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of an encoded image, or of an array (H, W) or (H, W, 3): turned upright, resized,
    permuted.

    C is 1 for gray and 3 for RGB, unless the options fix it. Raises whatever Pillow raises on damaged bytes.
    """
    picture = _to_gray_or_rgb(Image.fromarray(image) if isinstance(image, np.ndarray) else _open(image))
    if options.channels is not None:
        picture = _converted(picture, "L" if options.channels == 1 else "RGB")
    if options.image_size is not None:
        picture = ImageOps.fit(picture, (options.image_size, options.image_size), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels if options.permute_seed is None else permute(pixels, options.permute_seed)


def num_pixels(image: bytes | NDArray[np.uint8]) -> int:
    """Pixels of an image, from the header of an encoded one alone; more than MAX_PIXELS where Pillow itself
    refuses it. Raises what Pillow raises on damaged bytes. Not for several threads at the same time.
    """
    if isinstance(image, np.ndarray):
        return int(image.shape[0]) * int(image.shape[1])
    with warnings.catch_warnings():
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


def _open(encoded: bytes) -> Image.Image:
    picture = Image.open(BytesIO(encoded))
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
