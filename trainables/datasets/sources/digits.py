"""The 1,797 handwritten digits that come with scikit-learn: 8x8, gray; small enough to try everything on."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.source import Source, SourceImage, refuse_class_names

CLASSES = tuple("0123456789")
LARGEST_VALUE = 16


def read_digits(options: AddOptions) -> Source:
    """The digits, their values 0 to 16 stretched to 0 to 255."""
    from sklearn.datasets import load_digits

    refuse_class_names(options, CLASSES)
    digits = load_digits()
    images = np.rint(digits.images * (255 / LARGEST_VALUE)).astype(np.uint8)
    # A tenth of 1,797 images, 18 a class, would be too few to tell two models apart.
    return Source(
        description="scikit-learn load_digits",
        classes=CLASSES,
        images=_images(images, digits.target),
        num_images=len(images),
        carved_fraction=0.2,
    )


def _images(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Iterator[SourceImage]:
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield SourceImage(name=f"row {row}", load=partial(np.asarray, image), label=int(label))
