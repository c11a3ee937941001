"""A prepared video for Chromium's fake camera: pictures, each for a second, in a loop."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 640, 480
FRAMES_PER_SECOND = 30
"""Chromium plays every Motion JPEG so."""


def write_video(file: Path, frames: Iterable[Image.Image], *, seconds: float = 1.0) -> None:
    """Writes Motion JPEG: each frame, 640x480, for so long."""
    repeats = max(round(seconds * FRAMES_PER_SECOND), 1)
    with file.open("wb") as stream:
        for frame in frames:
            content = BytesIO()
            frame.convert("RGB").save(content, "JPEG", quality=90)
            stream.write(content.getvalue() * repeats)


def in_the_middle(image_HWC: NDArray[np.uint8], *, side: int = HEIGHT) -> Image.Image:
    """A frame with this picture as a square in its middle, as a person would hold it before the camera."""
    picture = Image.fromarray(image_HWC.squeeze(2) if image_HWC.shape[2] == 1 else image_HWC).convert("RGB")
    frame = Image.new("RGB", (WIDTH, HEIGHT), (40, 44, 52))
    square = picture.resize((side, side), Image.Resampling.BICUBIC)
    frame.paste(square, ((WIDTH - side) // 2, (HEIGHT - side) // 2))
    return frame
