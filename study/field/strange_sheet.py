"""The strangest images of a folder on one picture, each with what the model takes it for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from study.errors import SpecError
from study.field.drift import StrangeImage
from trainables.atomic import atomic_file
from trainables.datasets.contact_sheet import MARGIN, MAX_TILE, shortened, tile, tile_size
from trainables.datasets.split import Split
from trainables.printable import quoted

# N images, H height, W width, C channels

NUM_COLUMNS = 6
CELL_WIDTH, TEXT_HEIGHT, TEXT_SIZE, MAX_TEXT = 170, 56, 12, 26


def check_sheet(file: Path) -> None:
    """Raises SpecError unless a picture can be written there."""
    if file.suffix.lower() != ".png" or file.is_dir() or not file.absolute().parent.is_dir():
        raise SpecError(
            f"--sheet must name a .png file in a folder that exists, got {quoted(str(file))}; make the "
            "folder first"
        )


def write_strange_sheet(
    file: Path, strangest: Sequence[StrangeImage], pixels_NHWC: NDArray[np.uint8]
) -> None:
    """Writes a PNG with the images, the strangest first, as the model sees them."""
    split = Split(images=pixels_NHWC, labels=np.zeros(len(pixels_NHWC), np.int64))
    width, height = (side * (2 if side < MAX_TILE else 1) for side in tile_size(split))
    cell_width, cell_height = max(width, CELL_WIDTH) + MARGIN, height + TEXT_HEIGHT
    num_rows = -(-len(strangest) // NUM_COLUMNS)
    size = (NUM_COLUMNS * cell_width + MARGIN, num_rows * cell_height + MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_SIZE)
    for index, one in enumerate(strangest):
        left, top = MARGIN + index % NUM_COLUMNS * cell_width, MARGIN + index // NUM_COLUMNS * cell_height
        sheet.paste(tile(split, index, (width, height)), (left, top))
        text = (
            f"{shortened(Path(one.file).name, MAX_TEXT)}\n{shortened(one.label, MAX_TEXT - 6)} "
            f"{one.confidence:.0%}\nstranger than {one.stranger_than:.1%}"
        )
        draw.text((left, top + height + 2), text, fill="black", font=font)
    with atomic_file(file) as unfinished:
        sheet.save(unfinished, "PNG")
