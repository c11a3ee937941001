"""Decoding the images of a source some at a time, in several threads; every problem is noted."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.pixels import MAX_PIXELS, num_pixels
from trainables.datasets.problems import Problem, Problems
from trainables.datasets.sources.source import Source, SourceImage

Content = bytes | NDArray[np.uint8]
"""An encoded image, or its pixels."""

T = TypeVar("T")
"""What an image is decoded to."""

IMAGES_PER_BATCH = 64
MAX_PIXELS_AT_WORK = 2**27
"""Of the images that are decoded at a time: about a gigabyte, whatever a source holds."""


@dataclass(frozen=True, kw_only=True)
class DecodedBatch(Generic[T]):
    """Some images of a source, decoded."""

    num_read: int
    """Images that were read for it, those that cannot be used included."""
    images: tuple[tuple[SourceImage, T], ...]
    """Those that can be used, each with what it was decoded to."""


def decoded_batches(
    source: Source,
    decode: Callable[[Content], T],
    problems: Problems,
    *,
    num_threads: int = 1,
    images_per_batch: int = IMAGES_PER_BATCH,
) -> Iterator[DecodedBatch[T]]:
    """The images of a source some at a time, in order; those without image or label, or that `decode` cannot
    read (it may raise anything), become problems.
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


def _decoded(content: Content, decode: Callable[[Content], T]) -> T | None:
    try:
        return decode(content)
    except Exception:  # noqa: BLE001
        # Decoders raise almost anything on foreign bytes (OSError, SyntaxError, struct.error); the caller
        # counts it.
        return None
