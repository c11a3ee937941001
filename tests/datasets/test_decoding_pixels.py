"""From encoded bytes to stored pixels."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import decode, permute, pixel_digest

PIXELS = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])))


def encoded(picture: Image.Image, format_name: str = "PNG", **options) -> bytes:
    file = BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)]
)
def test_gray_modes_have_one_channel_and_others_three(mode, channels):
    assert decode(encoded(Image.new(mode, (5, 4))), AddOptions()).shape == (4, 5, channels)


def test_cmyk_becomes_rgb():
    assert decode(encoded(Image.new("CMYK", (5, 4)), "JPEG"), AddOptions()).shape == (4, 5, 3)


def test_sixteen_bits_are_scaled_and_not_clipped():
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(deep)), AddOptions())[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_floating_point_images_are_refused():
    with pytest.raises(ValueError, match="floating-point pixels"):
        decode(encoded(Image.new("F", (2, 2)), "TIFF"), AddOptions())


def test_pictures_are_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    upright = decode(encoded(picture, exif=exif), AddOptions())[..., 0]
    np.testing.assert_array_equal(upright, np.rot90(np.asarray(picture), -1))


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_can_be_asked_for(channels):
    for mode in ("L", "RGB"):
        assert decode(encoded(Image.new(mode, (4, 4))), AddOptions(channels=channels)).shape == (
            4,
            4,
            channels,
        )


def test_the_shorter_side_is_scaled_and_the_centre_is_cropped():
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 15:25] = 200
    resized = decode(wide, AddOptions(image_size=5))
    assert resized.shape == (5, 5, 1)
    # Smoothing lets a little of the black beside the crop in.
    assert np.abs(resized.astype(int) - 200).max() <= 12


def test_scaling_down_is_antialiased():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    resized = decode(checkerboard, AddOptions(image_size=8))
    assert np.abs(resized.astype(int) - 127).max() <= 8


@settings(max_examples=50, deadline=None)
@given(PIXELS)
def test_png_and_arrays_keep_every_pixel(pixels):
    array = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    np.testing.assert_array_equal(decode(array, AddOptions()), pixels)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(array)), AddOptions()), pixels)


@settings(max_examples=50, deadline=None)
@given(PIXELS, st.integers(0, 2**32 - 1))
def test_permuting_moves_whole_pixels_and_loses_none(pixels, seed):
    permuted = permute(pixels, seed)
    positions = permute(np.arange(pixels[..., 0].size).reshape(*pixels.shape[:2], 1), seed).ravel()
    assert sorted(positions) == list(range(pixels[..., 0].size))
    np.testing.assert_array_equal(
        permuted.reshape(-1, pixels.shape[-1]), pixels.reshape(-1, pixels.shape[-1])[positions]
    )


@settings(max_examples=50, deadline=None)
@given(PIXELS, PIXELS)
def test_digests_are_equal_exactly_for_equal_images(one, other):
    assert (pixel_digest(one) == pixel_digest(other)) == (
        one.shape == other.shape and bool((one == other).all())
    )


def test_the_digest_tells_shapes_apart():
    pixels = np.zeros((2, 6, 1), np.uint8)
    assert len({pixel_digest(pixels.reshape(shape)) for shape in ((2, 6, 1), (6, 2, 1), (2, 2, 3))}) == 3
