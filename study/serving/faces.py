"""Faces in pictures, by the Haar cascade that OpenCV's package holds: nothing is downloaded.

It finds faces that look at the camera, upright and well lit; it misses profiles, and takes some patterns for
faces. OpenCV 5 has no cascades any more, so the package is one of OpenCV 4.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.errors import SpecError
from trainables.datasets.pixels import MAX_PIXELS
from trainables.inference.classifier import upright_pixels

if TYPE_CHECKING:
    import cv2

# H height, W width, C channels

CASCADE = "haarcascade_frontalface_default.xml"
LONGEST_SIDE = 320
"""Pixels at which faces are looked for: twice as many take twice as long, and find faces that are too small
for a model."""
LEAST_SHARE = 0.08
"""Of the picture's shorter side that a face takes."""
STEP = 1.1
"""Between the sizes that are tried."""
NUM_NEIGHBOURS = 5
"""Overlapping finds that make a face: fewer take more patterns for faces."""
INSTALL = "install it: uv sync --extra faces"

Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels of a picture as a person sees it: turned upright."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a model is to see of a picture."""

    pixels: NDArray[np.uint8]
    """(H, W, C) of the largest face, or of the whole picture where none is found; C is 1 for a gray picture
    and 3 for another."""
    box: Box | None
    """Of the face; None where none is found."""


class FaceFinder:
    """Finds faces in pictures; for several threads at once."""

    def __init__(self) -> None:
        """Raises SpecError where OpenCV is not installed, or holds no cascade."""
        self._by_thread = threading.local()
        _cascade()

    def sight(self, image: bytes | NDArray[np.uint8], *, max_pixels: int = MAX_PIXELS) -> Sight:
        """The largest face in an encoded picture, or in pixels (H, W) or (H, W, 3).

        Raises DatasetError for what is no image, or has more than `max_pixels`.
        """
        pixels_HWC = upright_pixels(image, max_pixels=max_pixels)
        found, scale = self._faces(pixels_HWC)
        if not found:
            return Sight(pixels=pixels_HWC, box=None)
        height, width = pixels_HWC.shape[:2]
        box = _in_picture(max(found, key=_area), scale, width, height)
        left, top, box_width, box_height = box
        return Sight(pixels=pixels_HWC[top : top + box_height, left : left + box_width], box=box)

    def _faces(self, pixels_HWC: NDArray[np.uint8]) -> tuple[list[Box], float]:
        """The faces, and how many pixels of the picture one pixel of theirs is."""
        # A cascade keeps the picture that it looks at, so each thread has one of its own.
        if not hasattr(self._by_thread, "cascade"):
            self._by_thread.cascade = _cascade()
        gray_HW, scale = _small_gray(pixels_HWC)
        least = max(round(LEAST_SHARE * min(gray_HW.shape)), 1)
        rows = self._by_thread.cascade.detectMultiScale(
            gray_HW, scaleFactor=STEP, minNeighbors=NUM_NEIGHBOURS, minSize=(least, least)
        )
        return [(int(left), int(top), int(width), int(height)) for left, top, width, height in rows], scale


def _small_gray(pixels_HWC: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    picture = Image.fromarray(pixels_HWC.squeeze(2) if pixels_HWC.shape[2] == 1 else pixels_HWC)
    scale = max(max(picture.size) / LONGEST_SIDE, 1.0)
    size = max(round(picture.width / scale), 1), max(round(picture.height / scale), 1)
    small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0) if scale > 1 else picture
    return np.asarray(small.convert("L")), scale


def _area(box: Box) -> int:
    return box[2] * box[3]


def _in_picture(box: Box, scale: float, width: int, height: int) -> Box:
    """The box at the picture's own size, within it."""
    left, top, box_width, box_height = (round(side * scale) for side in box)
    left, top = min(left, width - 1), min(top, height - 1)
    return left, top, max(min(box_width, width - left), 1), max(min(box_height, height - top), 1)


def _cascade() -> "cv2.CascadeClassifier":
    try:
        import cv2
    except ImportError as error:
        raise SpecError(f"--find-faces needs OpenCV, which is not installed; {INSTALL}") from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise SpecError(f"--find-faces needs OpenCV 4, as {cv2.__version__} has no cascades; {INSTALL}")
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / CASCADE))
    if cascade.empty():
        raise SpecError(f"--find-faces needs {CASCADE}, which this build of OpenCV lacks; {INSTALL}")
    return cascade
