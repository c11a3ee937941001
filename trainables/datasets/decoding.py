"""The one pass over a source: every image is decoded into a spool file, every problem is noted."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.decoded_images import DecodedImages, DecodedImagesWriter
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import decode
from trainables.datasets.problems import Problem, Problems
from trainables.datasets.sources.source import Source, SourceImage

Progress = Callable[[str, int, int | None], None]
"""Told the step, how many images are done, and of how many (None: not known)."""

IMAGES_PER_BATCH = 64
MAX_THREADS = 8
"""Pillow decodes outside of Python's lock, but more threads than this only wait for it."""


def decode_images(source: Source, spool_path: Path, options: AddOptions, problems: Problems, progress: Progress) -> DecodedImages:
    """Decodes all images of `source` in several threads; those that cannot be used become problems.

    Images of several sizes are a problem too, unless the options bring them to one.
    """
    num_done = 0
    with DecodedImagesWriter(spool_path) as spool, ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as threads:
        for batch in _batches(source.images):
            usable = [image for image in batch if _is_usable(image, source, problems)]
            for image, pixels in zip(usable, threads.map(lambda image: _decode(image, options), usable), strict=True):
                if pixels is None:
                    problems.note(Problem.UNREADABLE_IMAGE, image.name)
                else:
                    # A source that is going to be refused is read on, to tell all its problems, but fills no disk.
                    is_refused = options.on_error == "refuse" and (bool(problems) or len(spool.sizes) > 1)
                    spool.append(image, pixels, keep_pixels=not is_refused)
            num_done += len(batch)
            progress("decoding", num_done, source.num_images)
    return _one_size(spool.written(), spool.sizes, problems)


def _batches(images: Iterator[SourceImage]) -> Iterator[list[SourceImage]]:
    while batch := list(islice(images, IMAGES_PER_BATCH)):
        yield batch


def _is_usable(image: SourceImage, source: Source, problems: Problems) -> bool:
    if image.load is None:
        problems.note(Problem.MISSING_IMAGE, image.name)
    elif image.label is None:
        problems.note(Problem.MISSING_LABEL, image.name)
    elif not 0 <= image.label < len(source.classes):
        problems.note(Problem.LABEL_OUTSIDE_CLASSES, f"{image.name}: label {image.label}")
    else:
        return True
    return False


def _decode(image: SourceImage, options: AddOptions) -> NDArray[np.uint8] | None:
    assert image.load is not None
    try:
        return decode(image.load(), options)
    except Exception:  # noqa: BLE001
        # Decoders raise almost anything on foreign bytes (OSError, SyntaxError, struct.error); the caller counts it.
        return None


def _one_size(images: DecodedImages, sizes: Counter[tuple[int, ...]], problems: Problems) -> DecodedImages:
    if len(sizes) < 2:
        return images
    most_common = sizes.most_common(1)[0][0]
    is_right = (images.shapes[:, :2] == most_common).all(axis=1)
    for row in np.flatnonzero(~is_right):
        height, width, _ = images.shapes[row]
        problems.note(Problem.WRONG_SIZE, f"{images.names[row]}: {width}x{height}, most are {most_common[1]}x{most_common[0]}")
    return images.rows(is_right)
