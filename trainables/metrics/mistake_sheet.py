"""The images that a network was most confidently wrong about, on one picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from trainables.datasets.contact_sheet import MAX_TILE, shortened, tile, tile_size
from trainables.datasets.split import Split
from trainables.metrics.inspection import Inspection

NUM_COLUMNS = 6
CELL_WIDTH = 170
TEXT_HEIGHT = 38
TEXT_SIZE = 12
MARGIN = 6
MAX_TEXT = 16


def mistake_sheet(split: Split, inspection: Inspection, classes: Sequence[str]) -> Image.Image | None:
    """Each image of `split` with its label, and below it what was predicted with which probability; None
    without mistakes.
    """
    if not len(inspection.image_M):
        return None
    width, height = (side * (2 if side < MAX_TILE else 1) for side in tile_size(split))
    cell_width, cell_height = max(width, CELL_WIDTH) + MARGIN, height + TEXT_HEIGHT
    num_rows = -(-len(inspection.image_M) // NUM_COLUMNS)
    sheet = Image.new(
        "RGB",
        (min(NUM_COLUMNS, len(inspection.image_M)) * cell_width + MARGIN, num_rows * cell_height + MARGIN),
        "white",
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_SIZE)
    for index, position in enumerate(inspection.image_M):
        left, top = MARGIN + index % NUM_COLUMNS * cell_width, MARGIN + index // NUM_COLUMNS * cell_height
        true, predicted = classes[inspection.true_M[index]], classes[inspection.predicted_M[index]]
        sheet.paste(tile(split, int(position), (width, height)), (left, top))
        text = (
            f"{shortened(true, MAX_TEXT)}, taken for\n{shortened(predicted, MAX_TEXT)} "
            f"({inspection.probability_M[index]:.0%})"
        )
        draw.text((left, top + height + 2), text, fill="black", font=font)
    return sheet
