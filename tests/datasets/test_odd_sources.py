"""Sources that nobody would make by accident: odd names, links, pipes, headers that lie, images too large."""

import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.datasets import decoding
from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import _map_batch
from trainables.datasets.decoding import decoded_batches
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import MAX_PIXELS
from trainables.datasets.problems import Problems
from trainables.datasets.sources.source import Source, SourceImage
from trainables.errors import DatasetError

SKIP = AddOptions(on_error="skip")


@pytest.fixture
def folder(tmp_path, write_image, make_images) -> Path:
    """A folder with ten images each of the classes a and b."""
    for row, image in enumerate(make_images(20)):
        write_image(tmp_path / "folder" / "ab"[row % 2] / f"{row}.png", image)
    return tmp_path / "folder"


def stored_names(home: Path, name: str) -> list[str]:
    """The names of all images of a dataset."""
    splits = ("train", "validation", "test")
    return [str(one) for split in splits for one in _map_batch(home / name / f"{split}.arrow").column("name")]


def test_a_file_name_that_is_not_utf8_is_stored_spelled_out(home, folder):
    (folder / "a" / "0.png").rename(folder / "a" / os.fsdecode(b"\xff\xfe.png"))
    (folder / "a" / "2.png").rename(folder / "a" / "\x1b[31mred\n.png")
    add_dataset(home, "odd", folder, AddOptions())
    assert {r"a/\xff\xfe.png", r"a/\x1b[31mred\n.png"} <= set(stored_names(home, "odd"))


def test_an_unreadable_file_of_such_a_name_is_told_without_steering_the_terminal(home, folder):
    (folder / "a" / os.fsdecode(b"\xff\x1b[2J.png")).write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        add_dataset(home, "odd", folder, AddOptions())
    assert r"a/\xff\x1b[2J.png" in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"x" * 201])
def test_a_class_name_that_cannot_be_kept_is_refused(home, folder, name):
    (folder / "b").rename(folder / os.fsdecode(name))
    with pytest.raises(DatasetError, match="a class name has 1 to 200 characters of UTF-8, got"):
        add_dataset(home, "odd", folder, AddOptions())


def test_links_out_of_the_folder_are_refused_unless_they_are_asked_for(home, folder, tmp_path, write_image):
    secret = write_image(tmp_path / "outside" / "secret.png", np.zeros((4, 4), np.uint8))
    (folder / "a" / "out.png").symlink_to(secret)
    (folder / "a" / "in.png").symlink_to(folder / "a" / "0.png")
    with pytest.raises(DatasetError, match=r"1 symbolic links of .* lead out of it .*--follow-links"):
        add_dataset(home, "odd", folder, AddOptions())
    add_dataset(home, "odd", folder, AddOptions(follow_links=True))
    assert {"a/out.png", "a/in.png"} <= set(stored_names(home, "odd"))


@pytest.mark.parametrize("target", ["..", ".", "../outside"])
def test_links_to_folders_are_refused(home, folder, tmp_path, write_image, target):
    write_image(tmp_path / "outside" / "secret.png", np.zeros((4, 4), np.uint8))
    (folder / "c").symlink_to(target)
    with pytest.raises(DatasetError, match=r"symbolic links of .* lead out of it or to a folder"):
        add_dataset(home, "odd", folder, AddOptions())


def test_a_pipe_among_the_images_is_unreadable_and_not_waited_for(home, folder):
    os.mkfifo(folder / "a" / "pipe.png")
    assert add_dataset(home, "odd", folder, SKIP).findings.skipped == {"unreadable_image": 1}


@pytest.mark.parametrize("name", ["pipe", "pipe.csv", "pipe.parquet"])
def test_a_pipe_as_the_source_is_refused(home, tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DatasetError, match="--from must be a file or folder that exists"):
        add_dataset(home, "odd", tmp_path / name, AddOptions())


def test_a_name_that_is_too_long_is_refused(home, tmp_path):
    with pytest.raises(DatasetError, match="--from must be a file or folder that exists"):
        add_dataset(home, "odd", tmp_path / ("x" * 5000), AddOptions())


def test_a_size_has_an_upper_bound():
    with pytest.raises(DatasetError, match="--size must be from 1 to 1024 pixels, got 1000000"):
        AddOptions(image_size=1_000_000)


def png_of(width: int, height: int) -> bytes:
    """A PNG of few bytes and many pixels."""
    file = BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_an_image_of_too_many_pixels_is_told_by_its_header_alone(home, folder, recwarn):
    (folder / "a" / "bomb.png").write_bytes(png_of(13_300, 13_300))
    (folder / "a" / "bigger.png").write_bytes(png_of(9_500, 9_500))
    with pytest.raises(DatasetError, match=rf"images of more than {MAX_PIXELS:,} pixels: 2 \(a/bigger.png"):
        add_dataset(home, "odd", folder, AddOptions(image_size=16))
    assert add_dataset(home, "odd", folder, SKIP).findings.skipped == {"too_large": 2}
    assert [str(one.message) for one in recwarn if "Decompression" in type(one.message).__name__] == []


def test_the_pixels_at_work_at_a_time_are_bounded(monkeypatch, encode_png, make_images):
    monkeypatch.setattr(decoding, "MAX_PIXELS_AT_WORK", 50)
    images = [SourceImage(name=str(row), load=lambda: png_of(4, 5), label=0) for row in range(9)]
    images.append(SourceImage(name="large", load=lambda: png_of(40, 50), label=0))
    source = Source(description="", classes=("a",), images=iter(images))
    batches = decoded_batches(
        source,
        lambda content: np.asarray(Image.open(BytesIO(content)).convert("L")),
        Problems(),
        num_threads=4,
    )
    assert [len(batch.images) for batch in batches] == [2, 2, 2, 2, 1, 1]


def test_a_header_of_idx_that_lies_is_refused(home, tmp_path, write_idx):
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, np.uint8))
    images = tmp_path / "train-images-idx3-ubyte"
    for sizes in ((2, 2**32 - 1, 2**32 - 1), (2, 0, 0), (2, 2**20, 2**20)):
        images.write_bytes((0x803).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in sizes))
        with pytest.raises(DatasetError, match=f"promises images of {sizes[1]:,} x {sizes[2]:,} pixels"):
            add_dataset(home, "odd", tmp_path, AddOptions())
    (tmp_path / "train-labels-idx1-ubyte").write_bytes((0x801).to_bytes(4, "big") + b"\xff" * 4)
    with pytest.raises(DatasetError, match="promises 4,294,967,295 labels"):
        add_dataset(home, "odd", tmp_path, AddOptions())


def test_two_columns_of_one_name_are_refused(home, tmp_path, encode_png, make_images):
    images = pa.array([encode_png(image) for image in make_images(4)])
    table = pa.table([images, images, pa.array([0, 1, 0, 1])], names=["image", "image", "label"])
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DatasetError, match="has 2 columns called 'image'"):
        add_dataset(home, "odd", tmp_path / "odd.parquet", AddOptions())


@pytest.mark.parametrize("names", ["ab", 5, [1, 2], [None, {}], {"a": 1}])
def test_class_names_in_the_metadata_that_are_none_are_refused(home, tmp_path, ten_per_class, names):
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    table = pq.read_table(ten_per_class).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DatasetError, match=r"class names in the metadata of .* must be a list of texts, got"):
        add_dataset(home, "odd", tmp_path / "odd.parquet", AddOptions())


KILLED = """
import os, signal, sys
from pathlib import Path
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

def killed(step, done, total):
    os.kill(os.getpid(), signal.SIGKILL)

add_dataset(Path(sys.argv[1]), "killed", Path(sys.argv[2]), AddOptions(), killed)
"""


def test_what_a_killed_process_was_adding_is_cleared_by_the_next_one(home, folder):
    ended = subprocess.run([sys.executable, "-c", KILLED, home, folder], check=False)
    assert ended.returncode == -9
    assert [path.name.startswith(".killed.adding-") for path in home.iterdir()] == [True]
    add_dataset(home, "next", folder, AddOptions())
    assert [path.name for path in home.iterdir()] == ["next"]


def test_what_another_process_is_adding_is_left_alone(home, folder):
    def at_work(step, done, total):
        if not (home / "other").exists():
            add_dataset(home, "other", folder, AddOptions())

    add_dataset(home, "first", folder, AddOptions(), at_work)
    assert sorted(path.name for path in home.iterdir()) == ["first", "other"]


def test_a_dataset_whose_replacement_was_killed_is_put_back(home, folder, monkeypatch):
    add_dataset(home, "kept", folder, AddOptions())
    (home / "kept").rename(home / ".kept.replaced-0123abcd")
    an_hour_later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_later)
    add_dataset(home, "next", folder, AddOptions())
    assert sorted(path.name for path in home.iterdir()) == ["kept", "next"]
