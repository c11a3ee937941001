"""Faces in pictures: the largest one is what the model sees."""

import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from face_pictures import face_picture, jpeg, portrait
from PIL import Image

from study.errors import SpecError
from study.serving.faces import FaceFinder, Sight
from trainables.errors import DatasetError


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def centre(sight: Sight) -> tuple[float, float]:
    assert sight.box is not None
    left, top, width, height = sight.box
    return left + width / 2, top + height / 2


def test_the_face_of_a_portrait_is_found(finder: FaceFinder) -> None:
    picture = portrait()
    sight = finder.sight(jpeg(picture))
    assert sight.box is not None
    left, top, width, height = sight.box
    assert sight.pixels.shape == (height, width, 3)
    assert np.array_equal(
        sight.pixels, np.asarray(Image.open(BytesIO(jpeg(picture))))[top : top + height, left : left + width]
    )
    # Her eyes and mouth, by eye.
    for x, y in ((225, 135), (280, 135), (253, 190)):
        assert left < x < left + width
        assert top < y < top + height


def test_of_several_faces_the_largest_is_taken(finder: FaceFinder) -> None:
    sight = finder.sight(jpeg(face_picture((900, 600), at=[(40, 60, 200), (450, 100, 360)])))
    x, y = centre(sight)
    assert 450 < x < 810
    assert 100 < y < 510


def test_a_large_picture_has_its_box_at_its_own_size(finder: FaceFinder) -> None:
    small = face_picture((480, 360), at=[(120, 40, 240)])
    large = small.resize((2400, 1800))
    boxes = [finder.sight(jpeg(picture)).box for picture in (small, large)]
    assert boxes[0] is not None
    assert boxes[1] == pytest.approx(tuple(5 * side for side in boxes[0]), abs=40)


def test_a_picture_that_lies_on_its_side_has_its_box_as_a_person_sees_it(finder: FaceFinder) -> None:
    upright = face_picture((480, 640), at=[(120, 300, 260)])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it
    content = BytesIO()
    upright.rotate(90, expand=True).save(content, "JPEG", exif=exif, quality=95)
    x, y = centre(finder.sight(content.getvalue()))
    assert 120 < x < 380
    assert 300 < y < 600


def test_without_a_face_the_whole_picture_is_what_the_model_sees(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    sight = finder.sight(noise)
    assert sight.box is None
    assert np.array_equal(sight.pixels, noise)
    tiny = finder.sight(np.zeros((1, 1), np.uint8))
    assert tiny.box is None
    assert tiny.pixels.shape == (1, 1, 1)


def test_several_threads_find_the_same(finder: FaceFinder) -> None:
    content = jpeg(portrait())
    with ThreadPoolExecutor(4) as threads:
        boxes = {sight.box for sight in threads.map(finder.sight, [content] * 12)}
    assert len(boxes) == 1
    assert None not in boxes


@pytest.mark.parametrize("content", [b"", b"no picture", jpeg(portrait())[:2000]])
def test_what_is_no_picture_is_told(finder: FaceFinder, content: bytes) -> None:
    with pytest.raises(DatasetError, match="an image must be"):
        finder.sight(content)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(finder: FaceFinder) -> None:
    with pytest.raises(DatasetError, match="an image may have 1,000 pixels"):
        finder.sight(jpeg(portrait()), max_pixels=1000)


def test_without_opencv_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SpecError, match=r"uv sync --extra faces"):
        FaceFinder()
