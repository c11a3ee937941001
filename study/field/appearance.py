"""How images look, in numbers that need no network."""

import numpy as np
from numpy.typing import NDArray

# N images, B images at a time, H height, W width, C channels

_IMAGES_AT_ONCE = 64
_WEIGHTS = {1: (1.0,), 3: (0.299, 0.587, 0.114)}
"""Of the channels in a gray image, as ITU-R BT.601 has them."""
MEASURES = ("brightness", "contrast", "sharpness")


def appearance(images_NHWC: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """By measure: a number (N,) for each image, of its gray pixels in [0, 1].

    Brightness is their mean, contrast their deviation, sharpness the deviation of their Laplacian (each pixel
    against its four neighbours).
    """
    parts = [
        _measured(images_NHWC[start : start + _IMAGES_AT_ONCE])
        for start in range(0, len(images_NHWC), _IMAGES_AT_ONCE)
    ]
    return dict(zip(MEASURES, np.concatenate(parts, axis=1), strict=True))


def _measured(images_BHWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    gray_BHW = images_BHWC.astype(np.float64) @ np.array(_WEIGHTS[images_BHWC.shape[3]]) / 255
    padded_BHW = np.pad(gray_BHW, ((0, 0), (1, 1), (1, 1)), mode="edge")
    laplacian_BHW = (
        padded_BHW[:, :-2, 1:-1]
        + padded_BHW[:, 2:, 1:-1]
        + padded_BHW[:, 1:-1, :-2]
        + padded_BHW[:, 1:-1, 2:]
        - 4 * gray_BHW
    )
    return np.stack([gray_BHW.mean((1, 2)), gray_BHW.std((1, 2)), laplacian_BHW.std((1, 2))])
