"""Stored splits: written and mapped again, cheap to open, damaged files told."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import SplitFile, SplitRows, map_split, read_clean_mask
from trainables.datasets.dataset import Dataset, Split
from trainables.datasets.options import AddOptions
from trainables.errors import DatasetError, UnknownDatasetError

READ_EVERY_PAGE = """
import sys
from pathlib import Path
from trainables.datasets.dataset import Dataset

def private_kilobytes():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))

before = private_kilobytes()
dataset = Dataset.open(Path(sys.argv[1]))
total = sum(int(chunk.sum()) for chunk in dataset.train.images)
print(private_kilobytes() - before, dataset.train.images.nbytes // 1024, total > 0)
"""


def write(path: Path, images: np.ndarray, labels: np.ndarray, clean: np.ndarray | None = None) -> str:
    rows = SplitRows(
        lengths=np.full(len(images), images[0].size),
        is_encoded=False,
        labels=labels,
        names=[f"image {row}" for row in range(len(images))],
        digests=np.full(len(images), b"d" * 16),
        clean=clean,
    )
    file = SplitFile(path, rows)
    for chunk in np.array_split(images, 2):
        file.write(chunk)
    return file.close()


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    images=arrays(
        np.uint8, st.tuples(st.integers(2, 6), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]))
    ),
)
def test_what_is_written_is_what_is_mapped(data, images):
    labels = data.draw(arrays(np.int64, len(images), elements=st.integers(0, 2**40)))
    clean = data.draw(arrays(np.bool_, len(images)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.arrow"
        write(path, images, labels, clean)
        split = map_split(path, *images.shape[1:])
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)
        np.testing.assert_array_equal(read_clean_mask(path), clean)
        assert [file.name for file in Path(folder).iterdir()] == ["split.arrow"]


def test_the_digest_covers_pixels_and_labels(tmp_path, make_images):
    images, labels = make_images(6)[..., np.newaxis], np.arange(6)
    other_images, other_labels = images.copy(), labels.copy()
    other_images[5, 3, 3, 0] ^= 1
    other_labels[0] = 1
    digest = write(tmp_path / "a.arrow", images, labels)
    assert write(tmp_path / "b.arrow", images, labels) == digest
    assert (
        len(
            {
                digest,
                write(tmp_path / "c.arrow", other_images, labels),
                write(tmp_path / "d.arrow", images, other_labels),
            }
        )
        == 3
    )


@pytest.fixture
def opened(home, ten_per_class) -> Dataset:
    add_dataset(home, "pets", ten_per_class, AddOptions())
    return Dataset.open(home / "pets")


def test_a_dataset_opens_without_its_test_split(home, opened):
    (home / "pets" / "test.arrow").unlink()
    dataset = Dataset.open(home / "pets")
    assert isinstance(dataset.train, Split)
    assert (len(dataset.train), len(dataset.validation)) == (24, 3)
    assert dataset.manifest == opened.manifest
    assert dataset.train.images.shape == (24, 4, 4, 1)


def test_arrays_are_read_only(opened):
    with pytest.raises(ValueError, match="read-only"):
        opened.train.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        opened.train.labels[0] = 0


def test_opening_takes_under_50_milliseconds(home, opened):
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        Dataset.open(home / "pets")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps_rollup")
def test_a_second_process_shares_the_pages(home, tmp_path, write_parquet, make_images):
    images = make_images(600, side=256)
    images[:, 1:] = 0  # Compresses well: the source is small, the stored images are not.
    add_dataset(
        home, "large", write_parquet(tmp_path / "large.parquet", images, [0, 1] * 300, "ab"), AddOptions()
    )
    mapped_here = Dataset.open(home / "large")
    assert mapped_here.train.images.any()
    output = subprocess.run(
        [sys.executable, "-c", READ_EVERY_PAGE, home / "large"], capture_output=True, text=True, check=True
    ).stdout
    private_kilobytes, image_kilobytes, was_read = output.split()
    assert was_read == "True"
    assert int(image_kilobytes) > 30_000
    assert int(private_kilobytes) < 20_000


def test_a_missing_dataset_is_told_with_the_known_ones(home, opened):
    with pytest.raises(
        UnknownDatasetError, match=r"unknown dataset 'pet'; known: pets; did you mean 'pets'\?"
    ):
        Dataset.open(home / "pet")


@pytest.mark.parametrize("num_bytes", [0, 100, -100])
def test_truncated_splits_are_refused(home, opened, num_bytes):
    path = home / "pets" / "train.arrow"
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(DatasetError, match=r"damaged dataset: .*train.arrow is not a whole Arrow file"):
        Dataset.open(home / "pets")


def test_a_missing_split_is_refused(home, opened):
    (home / "pets" / "validation.arrow").unlink()
    with pytest.raises(DatasetError, match=r"damaged dataset: .*validation.arrow"):
        Dataset.open(home / "pets")


def test_a_split_of_another_length_or_size_is_refused(home, opened, tmp_path, write_parquet, make_images):
    (home / "pets" / "train.arrow").write_bytes((home / "pets" / "validation.arrow").read_bytes())
    with pytest.raises(
        DatasetError, match=r"train.arrow holds 3 images, its manifest says 24; add it again with --replace"
    ):
        Dataset.open(home / "pets")
    source = write_parquet(tmp_path / "other.parquet", make_images(20, side=5), [0, 1] * 10, "ab")
    add_dataset(home, "other", source, AddOptions())
    (home / "pets" / "train.arrow").write_bytes((home / "other" / "train.arrow").read_bytes())
    with pytest.raises(DatasetError, match=r"must hold 4x4x1 images"):
        Dataset.open(home / "pets")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_manifest_is_refused(home, opened, content):
    (home / "pets" / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"damaged dataset: the manifest in .*pets cannot be read"):
        Dataset.open(home / "pets")
