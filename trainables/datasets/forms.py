"""The two forms in which images are stored: their pixels at one size, or the bytes that they were encoded in,
at their own sizes.
"""

from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import GRAY_MODES, MAX_PIXELS, num_pixels
from trainables.errors import DatasetError

Form = Literal["decoded", "encoded"]

COMMON_SHARE = 0.9
"""Where more images than this share have one size, the others are taken for mistakes."""


def chosen_form(contents: Sequence[bytes | NDArray[np.uint8]], options: AddOptions) -> Form:
    """The form for a source whose first images are `contents`: as the options say, or by itself.

    By itself it is `encoded` where sizes differ, nothing changes the pixels, and the encoded bytes are fewer
    than the pixels. Raises DatasetError where the options ask for what the images cannot be.
    """
    if options.store == "encoded":
        if any(isinstance(content, np.ndarray) for content in contents):
            raise DatasetError(
                "--store encoded keeps the files that images came in, and this source has bare pixels; leave "
                "it out"
            )
        return "encoded"
    if options.store == "decoded" or options.image_size is not None or options.permute_seed is not None:
        return "decoded"
    headers = [header for content in contents if (header := _header(content)) is not None]
    sizes = Counter((height, width) for height, width, _, _ in headers)
    if not headers or sizes.most_common(1)[0][1] >= COMMON_SHARE * len(headers):
        return "decoded"
    num_pixel_bytes = sum(height * width * channels for height, width, channels, _ in headers)
    return "encoded" if sum(num_bytes for *_, num_bytes in headers) < num_pixel_bytes else "decoded"


def _header(content: bytes | NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Height, width, channels and encoded bytes of an image, without decoding it; None for what is none. Bare
    pixels count as larger than themselves: they cannot be kept encoded.
    """
    if isinstance(content, np.ndarray):
        return content.shape[0], content.shape[1], 1, content.nbytes * 4
    try:
        if num_pixels(content) > MAX_PIXELS:
            return None
        with Image.open(BytesIO(content)) as picture:
            channels = 1 if picture.mode in GRAY_MODES else 3
            return picture.height, picture.width, channels, len(content)
    except Exception:  # noqa: BLE001
        # Decoders raise almost anything on foreign bytes; reading tells it by name.
        return None
