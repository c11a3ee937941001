"""Adding whole datasets: what is written, what its digest depends on, and that failures leave nothing."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import open_test_split, openings
from trainables.errors import DatasetError


def pixels_by_name(folder: Path, split: str) -> dict[str, bytes]:
    table = pa.ipc.open_file(folder / f"{split}.arrow").read_all()
    return dict(zip(table["name"].to_pylist(), table["image"].to_pylist(), strict=True))


def test_writes_manifest_splits_and_contact_sheet(home, ten_per_class):
    manifest = add_dataset(home, "pets", ten_per_class, AddOptions(licence="CC0"))

    files = sorted(path.name for path in (home / "pets").iterdir())
    assert files == ["contact_sheet.png", "manifest.json", "test.arrow", "train.arrow", "validation.arrow"]
    assert Manifest.read(home / "pets") == manifest
    assert (manifest.name, manifest.classes, manifest.licence) == ("pets", ("cat", "dog", "owl"), "CC0")
    assert (manifest.height, manifest.width, manifest.channels) == (4, 4, 1)
    assert {name: split.num_by_class for name, split in manifest.splits.items()} == {
        "train": (8, 8, 8),
        "validation": (1, 1, 1),
        "test": (1, 1, 1),
    }
    assert {split.origin for split in manifest.splits.values()} == {"carved"}
    assert manifest.options["test_fraction"] == 0.1
    assert manifest.source == str(ten_per_class)


def test_stored_images_are_those_of_the_source(home, ten_per_class, make_images):
    manifest = add_dataset(home, "pets", ten_per_class, AddOptions())

    images = make_images(30)
    stored = {
        name: pixels
        for split in manifest.splits
        for name, pixels in pixels_by_name(home / "pets", split).items()
    }
    assert stored == {f"ten_per_class/{row}.png": image.tobytes() for row, image in enumerate(images)}
    train = Dataset.open(home / "pets").train
    np.testing.assert_allclose(manifest.pixel_mean, [train.images.mean() / 255])
    np.testing.assert_allclose(manifest.pixel_std, [train.images.std() / 255])


@pytest.mark.parametrize(
    "given", [["train"], ["train", "validation"], ["train", "test"], ["train", "validation", "test"]]
)
def test_carves_the_splits_that_are_missing(home, tmp_path, write_parquet, make_images, given):
    for seed, split in enumerate(given):
        write_parquet(tmp_path / "source" / f"{split}.parquet", make_images(20, seed=seed), [0, 1] * 10, "ab")

    manifest = add_dataset(home, "ab", tmp_path / "source", AddOptions())

    assert {name for name, split in manifest.splits.items() if split.origin == "given"} == set(given)
    assert {name for name, split in manifest.splits.items() if split.origin == "carved"} == {
        "train",
        "validation",
        "test",
    } - set(given)
    assert sum(split.num_images for split in manifest.splits.values()) == 20 * len(given)
    assert all(manifest.splits[split].num_images == 20 for split in given if split != "train")


def test_splits_without_train_are_refused(home, tmp_path, write_parquet, make_images):
    for split in ("validation", "test"):
        write_parquet(tmp_path / "source" / f"{split}.parquet", make_images(4), [0, 1] * 2, "ab")
    with pytest.raises(DatasetError, match="needs a train split, found only test, validation"):
        add_dataset(home, "ab", tmp_path / "source", AddOptions())


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "../up", "a b", "x" * 65, "ü"])
def test_impossible_names_are_refused(home, name):
    with pytest.raises(DatasetError, match="a dataset's name has at most 64 letters"):
        add_dataset(home, name, None, AddOptions())
    assert not home.exists()


def test_an_existing_name_is_refused_and_kept(home, ten_per_class):
    first = add_dataset(home, "pets", ten_per_class, AddOptions())
    with pytest.raises(
        DatasetError,
        match=r"there is a dataset 'pets' already; choose another name, or replace it with --replace",
    ):
        add_dataset(home, "pets", ten_per_class, AddOptions(split_seed=1))
    assert Manifest.read(home / "pets") == first


def test_replacing_keeps_the_record_of_openings(home, ten_per_class):
    first = add_dataset(home, "pets", ten_per_class, AddOptions())
    open_test_split(home / "pets", "a study")

    second = add_dataset(home, "pets", ten_per_class, AddOptions(split_seed=1, replace=True))

    assert second.digest != first.digest
    assert Manifest.read(home / "pets") == second
    assert [opening.dataset_digest for opening in openings(home / "pets")] == [first.digest]
    assert [path.name for path in home.iterdir()] == ["pets"]


def test_a_failed_replacement_keeps_the_old_dataset(home, ten_per_class, tmp_path):
    first = add_dataset(home, "pets", ten_per_class, AddOptions())
    with pytest.raises(DatasetError, match="exists"):
        add_dataset(home, "pets", tmp_path / "nowhere", AddOptions(replace=True))
    assert Manifest.read(home / "pets") == first
    assert [path.name for path in home.iterdir()] == ["pets"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("step", ["decoding", "writing"])
def test_an_interruption_leaves_nothing(home, ten_per_class, interruption, step):
    def interrupt(current_step: str, num_done: int, num_total: int | None) -> None:
        if current_step == step:
            raise interruption

    with pytest.raises(interruption):
        add_dataset(home, "pets", ten_per_class, AddOptions(), interrupt)
    assert list(home.iterdir()) == []


def test_progress_ends_at_the_total(home, ten_per_class):
    reports = []
    add_dataset(home, "pets", ten_per_class, AddOptions(), lambda *report: reports.append(report))
    assert reports[0] == ("decoding", 30, 30)
    assert reports[-1] == ("writing", 30, 30)


def test_an_unreadable_place_is_one_message(home, ten_per_class):
    home.write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match="'pets' was not added"):
        add_dataset(home, "pets", ten_per_class, AddOptions())


def test_images_of_one_group_stay_together(home, tmp_path, write_parquet, make_images):
    persons = [f"person {row % 12}" for row in range(60)]
    source = write_parquet(tmp_path / "persons.parquet", make_images(60), [0, 1] * 30, "ab", person=persons)

    add_dataset(
        home, "persons", source, AddOptions(group_column="person", validation_fraction=0.2, test_fraction=0.2)
    )

    person_of = {f"persons/{row}.png": person for row, person in enumerate(persons)}
    found = [
        {person_of[name] for name in pixels_by_name(home / "persons", split)}
        for split in ("train", "validation", "test")
    ]
    assert sum(len(split) for split in found) == len(set.union(*found)) == 12


def test_a_class_with_too_few_images_to_carve_is_refused(home, tmp_path, write_parquet, make_images):
    source = write_parquet(tmp_path / "few.parquet", make_images(12), [0] * 10 + [1] * 2, "ab")
    with pytest.raises(DatasetError, match="needs at least 3 images of each class, but 'b' has 2"):
        add_dataset(home, "few", source, AddOptions())


def test_fractions_that_leave_nothing_are_refused(home, ten_per_class):
    with pytest.raises(
        DatasetError,
        match=r"leave some images in train, but nothing is left by --test-fraction 0\.5, --validation",
    ):
        add_dataset(home, "pets", ten_per_class, AddOptions(test_fraction=0.5, validation_fraction=0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "--size must be from 1 to 1024 pixels, got 0"),
        ({"channels": 2}, r"--channels must be 1 \(gray\) or 3 \(RGB\), got 2"),
        ({"on_error": "ignore"}, "--on-error must be refuse or skip, got 'ignore'"),
        ({"classes": ("a", "a")}, "--classes must be distinct"),
        ({"split_seed": -1}, "--split-seed must be from 0"),
        ({"permute_seed": 2**32}, "--permute-seed must be from 0"),
        ({"test_fraction": 1.0}, "--test-fraction must lie between 0 and 1"),
        ({"validation_fraction": 0.0}, "--validation-fraction must lie between 0 and 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(DatasetError, match=message):
        AddOptions(**options)


def test_adding_two_thousand_images_is_quick(home, tmp_path, write_parquet, make_images):
    source = write_parquet(tmp_path / "many.parquet", make_images(2000, side=28), [0, 1] * 1000, "ab")
    start = time.process_time()
    add_dataset(home, "many", source, AddOptions())
    assert time.process_time() - start < 5, "seconds of a core, as others may keep this process waiting"


def test_memory_does_not_grow_with_the_source(home, tmp_path, write_idx, make_images):
    images = make_images(640, side=256)
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "idx" / "train-labels-idx1-ubyte", np.arange(640, dtype=np.uint8) % 2)
    del images

    tracemalloc.start()
    add_dataset(home, "large", tmp_path / "idx", AddOptions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # A batch of encoded and decoded images, or two chunks on their way to the file; all images are 40 MiB.
    assert peak < 24 * 2**20


def test_the_contact_sheet_shows_every_class(home, ten_per_class):
    add_dataset(home, "pets", ten_per_class, AddOptions())
    with Image.open(home / "pets" / "contact_sheet.png") as sheet:
        assert sheet.height == 3 * 52 + 4
        # Eight training images of each class, the thirteenth column and beyond stay empty.
        row = np.asarray(sheet)[4:52]
    assert (row[:, 220 + 7 * 52 : 220 + 7 * 52 + 48] < 255).any()
    assert (row[:, 220 + 8 * 52 :] == 255).all()
