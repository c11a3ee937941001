"""Mean and standard deviation of pixels, exactly."""

from math import prod

import numpy as np
from numpy.typing import NDArray

PIXELS_PER_CHUNK = 2**20


def pixel_mean_and_std(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation by channel of images (N, H, W, C), pixels scaled to [0, 1]."""
    channels = [_mean_and_std(_histogram(images[..., channel])) for channel in range(images.shape[-1])]
    return tuple(mean for mean, _ in channels), tuple(std for _, std in channels)


def mean_and_std_of_moments(moments: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation by channel of images of several sizes, which all count alike, from each
    image's means of its pixels in [0, 1] and of their squares (N, 2, C).
    """
    mean_C, square_C = moments.mean(axis=0)
    std_C = np.sqrt(np.maximum(square_C - mean_C**2, 0.0))
    return tuple(mean_C.tolist()), tuple(std_C.tolist())


def _histogram(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    # Counting whole numbers loses nothing, however many images there are.
    images_per_chunk = max(1, PIXELS_PER_CHUNK // prod(images.shape[1:]))
    chunks = (images[start : start + images_per_chunk] for start in range(0, len(images), images_per_chunk))
    return sum((np.bincount(chunk.ravel(), minlength=256) for chunk in chunks), np.zeros(256, np.int64))


def _mean_and_std(histogram: NDArray[np.int64]) -> tuple[float, float]:
    values = np.arange(256) / 255
    mean = np.average(values, weights=histogram)
    return float(mean), float(np.sqrt(np.average((values - mean) ** 2, weights=histogram)))
