"""Pictures with a face: a portrait that Matplotlib holds (Grace Hopper; US Navy, public domain)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib import get_data_path
from PIL import Image

HEAD = (120, 0, 400, 320)
"""Of the portrait, with cap and shoulders: left, top, right and bottom."""


def portrait() -> Image.Image:
    """Her portrait, 512x600."""
    with Image.open(Path(get_data_path(), "sample_data", "grace_hopper.jpg")) as picture:
        return picture.convert("RGB")


def face_picture(size: tuple[int, int], at: Sequence[tuple[int, int, int]]) -> Image.Image:
    """A picture of `size` with her head at each place: left, top and width, in pixels."""
    head = portrait().crop(HEAD)
    picture = Image.new("RGB", size, (120, 128, 140))
    for left, top, width in at:
        picture.paste(head.resize((width, width * head.height // head.width)), (left, top))
    return picture


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a file."""
    content = BytesIO()
    picture.save(content, "JPEG", quality=95)
    return content.getvalue()
