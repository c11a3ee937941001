"""A contact sheet: some training images of each class on one picture, to see what the classes are."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.split import Split

CONTACT_SHEET_FILE = "contact_sheet.png"
MAX_CLASSES = 40
IMAGES_PER_CLASS = 12
MIN_TILE = 48
MAX_TILE = 96
MARGIN = 4
TEXT_WIDTH = 220
TEXT_SIZE = 14
MAX_TEXT = 26


def write_contact_sheet(path: Path, train: Split, classes: Sequence[str]) -> None:
    """Writes a PNG with one row for each of the first 40 classes: name, number of images, 12 of them at
    random (seeded).
    """
    shown = classes[:MAX_CLASSES]
    width, height = tile_size(train)
    row_height = height + MARGIN
    sheet = Image.new(
        "RGB", (TEXT_WIDTH + IMAGES_PER_CLASS * (width + MARGIN), len(shown) * row_height + MARGIN), "white"
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT_SIZE)
    random = np.random.RandomState(0)
    for label, name in enumerate(shown):
        top = MARGIN + label * row_height
        rows = np.flatnonzero(train.labels == label)
        draw.text((MARGIN, top), f"{shortened(name, MAX_TEXT)}\n{len(rows):,}", fill="black", font=font)
        for column, row in enumerate(random.permutation(rows)[:IMAGES_PER_CLASS]):
            sheet.paste(tile(train, int(row), (width, height)), (TEXT_WIDTH + column * (width + MARGIN), top))
    sheet.save(path)


def tile_size(split: Split) -> tuple[int, int]:
    """Width and height at which the images of a split are shown, the same for all of them."""
    if isinstance(split.images, EncodedImages):
        return MAX_TILE, MAX_TILE
    height, width = split.images.shape[1:3]
    shorter = min(height, width)
    if shorter < MIN_TILE:
        # A whole factor keeps every pixel a square of the same size.
        factor = ceil(MIN_TILE / shorter)
        return width * factor, height * factor
    scale = min(1.0, MAX_TILE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def tile(split: Split, row: int, size: tuple[int, int]) -> Image.Image:
    """One image of a split at that width and height, as Pillow has it; one of another shape shows its
    middle.
    """
    image = split.pixels(row)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if isinstance(split.images, EncodedImages):
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    return picture.resize(
        size, Image.Resampling.NEAREST if size[0] >= picture.width else Image.Resampling.LANCZOS
    )


def shortened(name: str, length: int) -> str:
    """The name, with dots for what does not fit into so many characters."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
