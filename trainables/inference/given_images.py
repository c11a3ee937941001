"""An image in the forms in which a request or a table has one: the bytes of a file, base64, or pixels."""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DatasetError


def given_image(item: Any) -> bytes | NDArray[np.uint8]:
    """The bytes of a file, or pixels (H, W) or (H, W, C).

    `item` is bytes, text in base64 (with or without `data:image/png;base64,`), or whole numbers from 0 to 255
    as an array or nested lists. Text is never taken for a path. Raises DatasetError, or another ValueError,
    ArithmeticError or TypeError for what is none of these.
    """
    if isinstance(item, str):
        return _decoded(item)
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    pixels = np.asarray(item if isinstance(item, np.ndarray) and item.dtype != object else _nested(item))
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255 or not np.equal(np.mod(pixels, 1), 0).all()):
        raise ValueError(
            f"pixels must be whole numbers in [0, 255], got values from {pixels.min()} to {pixels.max()}"
        )
    return pixels.astype(np.uint8)


def _nested(item: Any) -> Any:
    """Rows of pixels out of nested lists; MLflow hands some of them over as arrays of arrays."""
    return [_nested(row) for row in item] if isinstance(item, list | tuple | np.ndarray) else item


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.split(",", 1)[1] if text.startswith("data:") else text, validate=True)
    except (IndexError, ValueError) as error:
        raise DatasetError(
            f"text must be an image file in base64, got {json.dumps(text[:40])}…: {error}; a file's path is "
            "given as a pathlib.Path"
        ) from error
