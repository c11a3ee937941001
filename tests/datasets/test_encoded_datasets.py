"""Datasets of files at their own sizes: when images are stored so, what is kept, and what identifies them."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.folds import FoldedDataset
from trainables.datasets.options import AddOptions
from trainables.datasets.verifying import check_files
from trainables.errors import DatasetError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """60 JPEGs of two classes and of many sizes; one of them is gray, one lies on its side."""
    random = np.random.default_rng(0)
    for number in range(60):
        size = (40 + number % 7 * 8, 32 + number % 5 * 8)
        picture = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).resize(size)
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[274] = 6 if number == 8 else 1  # to be turned by 90 degrees
        (picture.convert("L") if number == 7 else picture).save(place / f"{number:02}.jpg", exif=exif)
    return tmp_path / "photos"


def files_of(photos: Path) -> dict[bytes, Path]:
    return {path.read_bytes(): path for path in photos.rglob("*.jpg")}


def test_files_of_several_sizes_are_kept_as_they_are(home, photos):
    manifest = add_dataset(home, "photos", photos, AddOptions())

    assert (manifest.form, manifest.channels) == ("encoded", 3)
    assert (manifest.smallest, manifest.largest) == ((32, 40), (64, 88))
    known = files_of(photos)
    dataset = Dataset.open(home / "photos")
    for split in (dataset.train, dataset.validation):
        assert isinstance(split.images, EncodedImages)
        for row in range(len(split)):
            path = known[split.images[row]]
            assert path.parent.name == "ab"[split.labels[row]]
            upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            np.testing.assert_array_equal(split.pixels(row), np.asarray(upright))
    assert manifest.image_bytes == sum(map(len, known))
    check_files(home / "photos")


def test_the_mean_and_deviation_are_those_of_the_pixels_each_image_counting_alike(home, photos):
    manifest = add_dataset(home, "photos", photos, AddOptions())
    train = Dataset.open(home / "photos").train
    pixels = [train.pixels(row) / 255 for row in range(len(train))]
    means = np.mean([image.mean((0, 1)) for image in pixels], axis=0)
    squares = np.mean([(image**2).mean((0, 1)) for image in pixels], axis=0)
    np.testing.assert_allclose(manifest.pixel_mean, means)
    np.testing.assert_allclose(manifest.pixel_std, np.sqrt(squares - means**2))


def test_one_size_is_stored_as_pixels_unless_asked_otherwise(home, tmp_path, write_image, make_images):
    for number, image in enumerate(make_images(40, side=16, channels=3) // 8):
        write_image(tmp_path / "same" / "ab"[number % 2] / f"{number}.jpg", image)
    same = tmp_path / "same"
    as_pixels = add_dataset(home, "pixels", same, AddOptions())
    as_files = add_dataset(home, "files", same, AddOptions(store="encoded"))
    assert (as_pixels.form, as_files.form) == ("decoded", "encoded")
    assert as_files.digest != as_pixels.digest
    one, other = Dataset.open(home / "pixels").train, Dataset.open(home / "files").train
    for row in range(len(one)):
        np.testing.assert_array_equal(one.pixels(row), other.pixels(row))


def test_a_size_stores_pixels(home, photos):
    manifest = add_dataset(home, "photos", photos, AddOptions(image_size=24))
    assert (manifest.form, manifest.sizes) == ("decoded", "24x24")


def test_a_few_images_of_another_size_are_still_a_problem(home, tmp_path, write_image, make_images):
    images = [*make_images(38, side=16), *make_images(2, side=20)]
    for number, image in enumerate(images):
        write_image(tmp_path / "same" / "ab"[number % 2] / f"{number:02}.jpg", image // 8)
    with pytest.raises(DatasetError, match=r"(?s)another size than most: 2 .*keep their sizes with --store"):
        add_dataset(home, "same", tmp_path / "same", AddOptions())
    kept = add_dataset(home, "same", tmp_path / "same", AddOptions(store="encoded"))
    assert kept.sizes == "16x16 to 20x20"


def test_the_digest_follows_from_the_files_alone(home, photos, tmp_path):
    first = add_dataset(home, "photos", photos, AddOptions())
    assert add_dataset(tmp_path / "again", "photos", photos, AddOptions()).digest == first.digest
    path = next(iter(sorted(photos.rglob("*.jpg"))))
    picture = Image.open(path)
    content = BytesIO()
    picture.save(content, "JPEG", quality=30)
    path.write_bytes(content.getvalue())
    assert add_dataset(home, "photos", photos, AddOptions(replace=True)).digest != first.digest


def test_a_damaged_file_is_found(home, photos):
    add_dataset(home, "photos", photos, AddOptions())
    file = home / "photos" / "train.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match="has the digest"):
        check_files(home / "photos")


def test_equal_pixels_stay_in_one_split(home, photos):
    for path in sorted(photos.rglob("*.jpg"))[:20]:
        picture = Image.open(path)
        picture.load()
        path.with_name(f"twin-{path.name}").write_bytes(path.read_bytes())
    manifest = add_dataset(home, "photos", photos, AddOptions())
    assert sum(manifest.findings.num_duplicates_within.values()) == 20
    assert set(manifest.findings.num_duplicates_across.values()) == {0}


def test_folds_keep_the_files(home, photos):
    add_dataset(home, "photos", photos, AddOptions())
    dataset = Dataset.open(home / "photos")
    folded = FoldedDataset.of(dataset, 3)
    known = files_of(photos)
    for fold in folded.datasets:
        images = [fold.train.images[row] for row in range(len(fold.train))]
        images += [fold.validation.images[row] for row in range(len(fold.validation))]
        assert len(set(images)) == len(dataset.train) + len(dataset.validation)
        assert set(images) <= set(known)


@pytest.mark.parametrize("change", [{"image_size": 8}, {"permute_seed": 0}])
def test_what_changes_pixels_cannot_keep_files(change):
    with pytest.raises(DatasetError, match="--store encoded keeps the files as they are"):
        AddOptions(store="encoded", **change)


def test_bare_pixels_cannot_be_kept_as_files(home):
    with pytest.raises(DatasetError, match="this source has bare pixels"):
        add_dataset(home, "digits", None, AddOptions(store="encoded"))
    assert list(home.iterdir()) == []
