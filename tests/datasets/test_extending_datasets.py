"""New images added to a stored dataset: what is stored keeps its split, what is new is divided."""

import json

import numpy as np
import pytest
from PIL import Image

from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import read_kept, read_names, read_pixel_digests
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import open_test_split, openings
from trainables.datasets.verifying import check_files
from trainables.errors import DatasetError, UnknownDatasetError


def pixels(number: int, side: int = 8) -> np.ndarray:
    """An image of its own for each number."""
    return np.random.default_rng(number).integers(256, size=(side, side), dtype=np.uint8)


def listing(folder, numbers, label=lambda number: "ab"[number % 2], side=8, **columns):
    """A CSV of images with these numbers, and further columns by number."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [",".join(["filename", "label", *columns])]
    for number in numbers:
        Image.fromarray(pixels(number, side)).save(folder / f"{number}.png")
        rows.append(
            ",".join([f"{number}.png", label(number), *(str(make(number)) for make in columns.values())])
        )
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def digests(folder):
    """By split: those of its images."""
    return {
        split: set(read_pixel_digests(folder / f"{split}.arrow").tolist())
        for split in ("train", "validation", "test")
    }


def test_stored_images_keep_their_splits_and_new_ones_are_divided(home, tmp_path):
    before = add_dataset(home, "zoo", listing(tmp_path / "old", range(100)), AddOptions())
    kept = digests(home / "zoo")
    new = listing(tmp_path / "new", range(1000, 1060))
    after = add_dataset(home, "zoo", new, AddOptions(with_dataset="zoo", replace=True))
    assert after.digest != before.digest
    assert {split: one.num_images for split, one in after.splits.items()} == {
        split: one.num_images + {"train": 48, "validation": 6, "test": 6}[split]
        for split, one in before.splits.items()
    }
    for split, found in digests(home / "zoo").items():
        assert kept[split] <= found
    assert "with the images of zoo" in after.source
    assert after.classes == ("a", "b")
    dataset = Dataset.open(home / "zoo")
    names, _ = read_names(home / "zoo" / "train.arrow")
    for row, name in enumerate(names):
        number = int(name.removesuffix(".png"))
        assert np.array_equal(dataset.train.pixels(row)[..., 0], pixels(number))
        assert dataset.train.labels[row] == number % 2
    check_files(home / "zoo")


def test_new_classes_come_after_the_stored_ones(home, tmp_path):
    add_dataset(home, "zoo", listing(tmp_path / "old", range(60)), AddOptions())
    new = listing(tmp_path / "new", range(1000, 1060), label=lambda number: "Ab"[number % 2])
    manifest = add_dataset(home, "more", new, AddOptions(with_dataset="zoo"))
    assert manifest.classes == ("a", "b", "A")
    counts = np.sum([split.num_by_class for split in manifest.splits.values()], axis=0)
    assert counts.tolist() == [30, 60, 30]


def test_equal_images_and_groups_go_where_they_are(home, tmp_path):
    old = listing(tmp_path / "old", range(80), group=lambda number: f"p{number // 4}")
    add_dataset(home, "zoo", old, AddOptions())
    _, groups = read_names(home / "zoo" / "test.arrow")
    person = groups[0]
    new = listing(
        tmp_path / "new",
        [*range(1000, 1040), *range(10)],  # the last ones are stored already
        group=lambda number: person if number in (1000, 1001) else f"q{number // 4}",
    )
    manifest = add_dataset(home, "zoo", new, AddOptions(with_dataset="zoo", replace=True))
    across = manifest.findings
    assert set(across.num_duplicates_across.values()) == {0}
    assert set(across.num_groups_across.values()) == {0}
    names, groups = read_names(home / "zoo" / "test.arrow")
    assert {"1000.png", "1001.png"} <= set(names)


def test_the_record_of_openings_goes_along(home, tmp_path):
    add_dataset(home, "zoo", listing(tmp_path / "old", range(60)), AddOptions())
    assert openings(home / "zoo") == ()
    open_test_split(home / "zoo", opened_by="the test")
    new = listing(tmp_path / "new", range(1000, 1060))
    for name, options in (("zoo", {"replace": True}), ("more", {})):
        add_dataset(home, name, new, AddOptions(with_dataset="zoo", **options))
        assert [one.opened_by for one in openings(home / name)] == ["the test"]


def test_new_images_become_what_the_stored_ones_are(home, tmp_path):
    old = listing(tmp_path / "old", range(60), age=lambda number: number)
    add_dataset(home, "zoo", old, AddOptions(keep_columns=("age",)))
    new = listing(tmp_path / "new", range(1000, 1060), side=20, place=lambda number: "here")
    manifest = add_dataset(home, "more", new, AddOptions(with_dataset="zoo", keep_columns=("place",)))
    assert (manifest.height, manifest.width, manifest.channels) == (8, 8, 1)
    assert manifest.kept_columns == ("age", "place")
    columns = read_kept(home / "more" / "train.arrow")
    rows = list(zip(columns["age"], columns["place"], strict=True))
    assert (None, "here") in rows
    assert all((age is None) == (place == "here") for age, place in rows)


def test_encoded_datasets_are_extended_by_files(home, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    rows = ["filename,label"]
    for number in range(60):
        picture = Image.fromarray(pixels(number, 4)).resize((40 + number, 50), Image.Resampling.BILINEAR)
        picture.save(folder / f"{number}.jpg")
        rows.append(f"{number}.jpg,{'ab'[number % 2]}")
    (folder / "list.csv").write_text("\n".join(rows))
    assert add_dataset(home, "zoo", folder / "list.csv", AddOptions(store="encoded")).is_encoded
    new = listing(tmp_path / "new", range(1000, 1060), side=30)
    manifest = add_dataset(home, "zoo", new, AddOptions(with_dataset="zoo", replace=True))
    assert manifest.is_encoded
    assert sum(split.num_images for split in manifest.splits.values()) == 120
    check_files(home / "zoo")


def test_what_cannot_be_added(home, tmp_path):
    old = listing(tmp_path / "old", range(60))
    add_dataset(home, "zoo", old, AddOptions())
    add_dataset(home, "permuted", old, AddOptions(permute_seed=0))
    before = json.loads((home / "zoo" / "manifest.json").read_text())
    for options, message in (
        ({"with_dataset": "permuted"}, "the pixels of 'permuted' are permuted"),
        ({"with_dataset": "zoo", "image_size": 10}, "--size 10 says otherwise"),
        ({"with_dataset": "zoo", "channels": 3}, "--channels 3 says otherwise"),
        ({"with_dataset": "zoo", "store": "encoded"}, "--store encoded says otherwise"),
    ):
        with pytest.raises(DatasetError, match=message):
            add_dataset(home, "more", old, AddOptions(**options))
    with pytest.raises(UnknownDatasetError, match="unknown dataset 'zo'"):
        add_dataset(home, "more", old, AddOptions(with_dataset="zo"))
    with pytest.raises(DatasetError, match="there is a dataset 'zoo' already"):
        add_dataset(home, "zoo", old, AddOptions(with_dataset="zoo"))
    assert not (home / "more").exists()
    assert json.loads((home / "zoo" / "manifest.json").read_text()) == before
