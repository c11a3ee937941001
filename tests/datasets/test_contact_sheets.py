"""Contact sheets stay readable for tiny and large images, and for many classes."""

import numpy as np
import pytest
from PIL import Image

from trainables.datasets.contact_sheet import write_contact_sheet
from trainables.datasets.split import Split


@pytest.mark.parametrize(
    ("shape", "tile"),
    [((4, 4, 1), (48, 48)), ((28, 28, 1), (56, 56)), ((60, 80, 3), (80, 60)), ((200, 400, 3), (96, 48))],
)
def test_tiles_are_of_readable_size(tmp_path, shape, tile):
    train = Split(images=np.zeros((2, *shape), np.uint8), labels=np.array([0, 1]))
    write_contact_sheet(tmp_path / "sheet.png", train, ["a", "a class with a very long name"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (220 + 12 * (tile[0] + 4), 2 * (tile[1] + 4) + 4)
        assert sheet.getpixel((220, 4)) == sheet.getpixel((220 + tile[0] - 1, 4 + tile[1] - 1)) == (0, 0, 0)


def test_small_images_are_enlarged_without_smoothing(tmp_path):
    image = np.array([[0, 255], [255, 0]], np.uint8).reshape(1, 2, 2, 1)
    write_contact_sheet(tmp_path / "sheet.png", Split(images=image, labels=np.array([0])), ["a"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        tile = np.asarray(sheet)[4:52, 220:268, 0]
    np.testing.assert_array_equal(tile, np.kron(image[0, ..., 0], np.ones((24, 24), np.uint8)))


def test_forty_classes_are_shown_and_the_same_images_each_time(tmp_path, make_images):
    train = Split(images=make_images(200, side=6)[..., np.newaxis], labels=np.arange(200) % 50)
    for name in ("one.png", "two.png"):
        write_contact_sheet(tmp_path / name, train, [f"class {label}" for label in range(50)])
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as sheet:
        assert sheet.height == 40 * 52 + 4
