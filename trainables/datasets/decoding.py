"""The one pass over a source: every image is decoded into a spool file, every problem is noted."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.decoded_images import DecodedImages, DecodedImagesWriter
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import MAX_PIXELS, decode, num_pixels
from trainables.datasets.problems import Problem, Problems
from trainables.datasets.sources.source import Source, SourceImage

Progress = Callable[[str, int, int | None], None]
"""Told the step, how many images are done, and of how many (None: not known)."""

Content = bytes | NDArray[np.uint8]
"""An encoded image, or its pixels."""

Decode = Callable[[Content], NDArray[np.uint8]]
"""From an encoded image or its pixels to pixels (H, W, C); may raise anything for what is no image."""

IMAGES_PER_BATCH = 64
MAX_PIXELS_AT_WORK = 2**27
"""Of the images that are decoded at a time: about a gigabyte, whatever a source holds."""
MAX_THREADS = 8
"""Pillow decodes outside of Python's lock, but more threads than this only wait for it."""


def decode_images(
    source: Source, spool_path: Path, options: AddOptions, problems: Problems, progress: Progress
) -> DecodedImages:
    """Decodes all images of `source` in several threads; those that cannot be used become problems.

    Images of several sizes are a problem too, unless the options bring them to one.
    """
    num_done, num_threads = 0, min(MAX_THREADS, os.cpu_count() or 1)
    with DecodedImagesWriter(spool_path) as spool:
        for batch in decoded_batches(
            source, partial(decode, options=options), problems, num_threads=num_threads
        ):
            for image, pixels in batch.images:
                # A source that is going to be refused is read on, to tell all its problems, but fills no
                # disk.
                is_refused = options.on_error == "refuse" and (bool(problems) or len(spool.sizes) > 1)
                spool.append(image, pixels, keep_pixels=not is_refused)
            num_done += batch.num_read
            progress("decoding", num_done, source.num_images)
    return _one_size(spool.written(), spool.sizes, problems)


@dataclass(frozen=True, kw_only=True)
class DecodedBatch:
    """Some images of a source, decoded."""

    num_read: int
    """Images that were read for it, those that cannot be used included."""
    images: tuple[tuple[SourceImage, NDArray[np.uint8]], ...]
    """Those that can be used, each with its pixels (H, W, C)."""


def decoded_batches(
    source: Source,
    decode: Decode,
    problems: Problems,
    *,
    num_threads: int = 1,
    images_per_batch: int = IMAGES_PER_BATCH,
) -> Iterator[DecodedBatch]:
    """The images of a source some at a time, in order; those without image or label, or that `decode` cannot
    read, become problems.
    """
    with ThreadPoolExecutor(num_threads) as threads:
        for batch in _batches(source.images, images_per_batch):
            usable = [image for image in batch if _is_usable(image, source, problems)]
            loaded = _sized(zip(usable, threads.map(_loaded, usable), strict=True), problems)
            num_told = 0
            for piece in _pieces(loaded):
                images = tuple(image for image, _, _ in piece)
                contents = [content for _, content, _ in piece]
                decoded = list(
                    zip(images, threads.map(partial(_decoded, decode=decode), contents), strict=True)
                )
                for image, pixels in decoded:
                    if pixels is None:
                        problems.note(Problem.UNREADABLE_IMAGE, image.name)
                num_told += len(piece)
                yield DecodedBatch(
                    num_read=len(piece),
                    images=tuple((image, pixels) for image, pixels in decoded if pixels is not None),
                )
            if num_told < len(batch):
                yield DecodedBatch(num_read=len(batch) - num_told, images=())


def _batches(images: Iterator[SourceImage], size: int) -> Iterator[list[SourceImage]]:
    while batch := list(islice(images, size)):
        yield batch


def _is_usable(image: SourceImage, source: Source, problems: Problems) -> bool:
    if image.load is None:
        problems.note(Problem.MISSING_IMAGE, image.name)
    elif image.label is None:
        problems.note(Problem.MISSING_LABEL, image.name)
    elif not 0 <= image.label < len(source.classes):
        problems.note(Problem.LABEL_OUTSIDE_CLASSES, f"{image.name}: label {image.label}")
    elif source.needs_groups and not image.group:
        problems.note(Problem.MISSING_GROUP, image.name)
    else:
        return True
    return False


def _loaded(image: SourceImage) -> Content | None:
    assert image.load is not None
    try:
        return image.load()
    except Exception:  # noqa: BLE001
        # A file that is gone, pixels that are no numbers: the caller counts it.
        return None


def _sized(
    loaded: Iterable[tuple[SourceImage, Content | None]], problems: Problems
) -> Iterator[tuple[SourceImage, Content, int]]:
    """Images with their contents and numbers of pixels; those that are unreadable or too large are noted."""
    for image, content in loaded:
        size = None if content is None else _num_pixels(content)
        if content is None or size is None:
            problems.note(Problem.UNREADABLE_IMAGE, image.name)
        elif size > MAX_PIXELS:
            problems.note(Problem.TOO_LARGE, image.name)
        else:
            yield image, content, size


def _num_pixels(content: Content) -> int | None:
    try:
        return num_pixels(content)
    except Exception:  # noqa: BLE001
        # Decoders raise almost anything on foreign bytes.
        return None


def _pieces(
    loaded: Iterable[tuple[SourceImage, Content, int]],
) -> Iterator[list[tuple[SourceImage, Content, int]]]:
    """Images, as many at a time as have MAX_PIXELS_AT_WORK together, at least one."""
    piece: list[tuple[SourceImage, Content, int]] = []
    for one in loaded:
        if piece and sum(size for _, _, size in piece) + one[2] > MAX_PIXELS_AT_WORK:
            yield piece
            piece = []
        piece.append(one)
    if piece:
        yield piece


def _decoded(content: Content, decode: Decode) -> NDArray[np.uint8] | None:
    try:
        return decode(content)
    except Exception:  # noqa: BLE001
        # Decoders raise almost anything on foreign bytes (OSError, SyntaxError, struct.error); the caller
        # counts it.
        return None


def _one_size(images: DecodedImages, sizes: Counter[tuple[int, ...]], problems: Problems) -> DecodedImages:
    if len(sizes) < 2:
        return images
    most_common = sizes.most_common(1)[0][0]
    is_right = (images.shapes[:, :2] == most_common).all(axis=1)
    for row in np.flatnonzero(~is_right):
        height, width, _ = images.shapes[row]
        problems.note(
            Problem.WRONG_SIZE,
            f"{images.names[row]}: {width}x{height}, most are {most_common[1]}x{most_common[0]}",
        )
    return images.rows(is_right)
