"""IDX files: bytes become the same arrays, and damaged files are refused."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.formats import read_source
from trainables.errors import DatasetError


@pytest.fixture
def write_mnist(write_idx, make_images):
    """Writes MNIST in small: 4 training and 2 test images of three classes."""

    def write(folder: Path, suffix: str = ".gz") -> Path:
        for seed, (split, labels) in enumerate({"train": [0, 1, 2, 0], "t10k": [2, 1]}.items()):
            write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", make_images(len(labels), seed=seed))
            write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", np.array(labels, np.uint8))
        return folder

    return write


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_t10k_is_the_test_split(tmp_path, write_mnist, make_images, suffix):
    source = read_source(write_mnist(tmp_path, suffix), "x", AddOptions())
    images = list(source.images)
    assert sorted((image.split, image.label) for image in images) == [
        ("test", 1),
        ("test", 2),
        ("train", 0),
        ("train", 0),
        ("train", 1),
        ("train", 2),
    ]
    train = [image.load() for image in images if image.split == "train"]
    np.testing.assert_array_equal(train, make_images(4))
    assert source.classes == ("0", "1", "2")
    assert source.num_images == 6


def test_classes_can_be_named(tmp_path, write_mnist):
    assert read_source(write_mnist(tmp_path), "x", AddOptions(classes=("a", "b", "c"))).classes == (
        "a",
        "b",
        "c",
    )


def test_only_train_is_fine(tmp_path, write_mnist):
    for path in write_mnist(tmp_path).glob("t10k*"):
        path.unlink()
    assert {image.split for image in read_source(tmp_path, "x", AddOptions()).images} == {"train"}


def test_a_plain_file_wins_over_its_gzipped_twin(tmp_path, write_mnist):
    write_mnist(tmp_path, "")
    write_mnist(tmp_path, ".gz")
    assert read_source(tmp_path, "x", AddOptions()).num_images == 6


@settings(max_examples=25, deadline=None)
@given(images=arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3)), is_gzipped=st.booleans())
def test_bytes_become_the_array_that_was_written(write_idx, images, is_gzipped):
    with tempfile.TemporaryDirectory() as folder:
        suffix = ".gz" if is_gzipped else ""
        write_idx(Path(folder) / f"train-images-idx3-ubyte{suffix}", images)
        write_idx(Path(folder) / f"train-labels-idx1-ubyte{suffix}", np.zeros(len(images), np.uint8))
        found = [image.load() for image in read_source(Path(folder), "x", AddOptions()).images]
    np.testing.assert_array_equal(np.stack(found), images)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("content", ["images-idx3", "labels-idx1"])
def test_truncated_files_are_refused(tmp_path, write_mnist, suffix, content):
    path = write_mnist(tmp_path, suffix) / f"train-{content}-ubyte{suffix}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match=rf"train-{content}-ubyte{suffix} is truncated"):
        list(read_source(tmp_path, "x", AddOptions()).images)


def test_surplus_bytes_are_refused(tmp_path, write_mnist):
    path = write_mnist(tmp_path, "") / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DatasetError, match="goes on after what its header promises"):
        list(read_source(tmp_path, "x", AddOptions()).images)


def test_a_wrong_magic_number_is_refused(tmp_path, write_mnist):
    folder = write_mnist(tmp_path)
    (folder / "train-images-idx3-ubyte.gz").write_bytes((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(
        DatasetError, match="must begin with the IDX magic number 0x00000803, found 0x00000801"
    ):
        read_source(tmp_path, "x", AddOptions())


def test_a_file_that_is_not_gzipped_is_refused(tmp_path, write_mnist):
    path = write_mnist(tmp_path) / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    with pytest.raises(DatasetError, match="truncated or not gzipped"):
        read_source(tmp_path, "x", AddOptions())


def test_different_numbers_of_images_and_labels_are_refused(tmp_path, write_mnist, write_idx):
    write_idx(write_mnist(tmp_path) / "train-labels-idx1-ubyte.gz", np.zeros(5, np.uint8))
    with pytest.raises(DatasetError, match=r"each image needs one label: .* has 4 images, .* has 5 labels"):
        read_source(tmp_path, "x", AddOptions())


def test_a_missing_half_is_refused(tmp_path, write_mnist):
    (write_mnist(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DatasetError, match=r"come in pairs: .* has no labels of test"):
        read_source(tmp_path, "x", AddOptions())


def test_two_sets_in_one_folder_are_refused(tmp_path, write_mnist):
    for path in list(write_mnist(tmp_path).iterdir()):
        path.with_name(f"emnist-{path.name}").write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=r"must hold one file of .* use one folder each"):
        read_source(tmp_path, "x", AddOptions())
