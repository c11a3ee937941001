"""Images in groups, such as the people whom they show: stored with each image, and counted."""

import numpy as np
import pytest

from study.cli.reports.dataset_tables import print_added, print_dataset
from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import read_pixel_digests
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import open_test_split

BY_PERSON = AddOptions(group_column="person", validation_fraction=0.2, test_fraction=0.2)
PERSONS = [None if row >= 58 else f"person {row % 12}" for row in range(60)]


@pytest.fixture
def people(tmp_path, write_parquet, make_images):
    """Sixty images: twelve people, and two images that show nobody."""
    return write_parquet(tmp_path / "people.parquet", make_images(60), [0, 1] * 30, "ab", person=PERSONS)


def test_each_image_keeps_its_group(home, people):
    manifest = add_dataset(home, "people", people, BY_PERSON)
    dataset = Dataset.open(home / "people")
    test, _ = open_test_split(home / "people", "a test")
    splits = {"train": dataset.train, "validation": dataset.validation, "test": test}
    for name, split in splits.items():
        assert split.groups is not None
        assert len(np.unique(split.groups)) == manifest.splits[name].num_groups
    everybody = np.concatenate([split.groups for split in splits.values()])
    assert len(np.unique(everybody)) == 12 + 2, "an image of nobody is a group by itself"
    assert sorted(np.unique(everybody, return_counts=True)[1].tolist())[:2] == [1, 1]


def test_a_dataset_without_groups_is_what_it_was(home, people):
    plain = add_dataset(home, "plain", people, AddOptions(validation_fraction=0.2, test_fraction=0.2))
    assert plain.grouped_by is None
    assert [split.num_groups for split in plain.splits.values()] == [None] * 3
    assert Dataset.open(home / "plain").train.groups is None
    assert plain.digest == "4f390c9b910da3231762890e4dad207b16e1c678a215dae931252e97289e0885"


def test_groups_are_part_of_the_identity(home, people, tmp_path, write_parquet, make_images):
    digest = add_dataset(home, "people", people, BY_PERSON).digest
    # Two that are in the same split swap their names: the images of each split stay, their groups do not.
    swapped = {"person 0": "person 1", "person 1": "person 0"}
    renamed = [swapped.get(person, person) for person in PERSONS]
    same = write_parquet(tmp_path / "same.parquet", make_images(60), [0, 1] * 30, "ab", person=renamed)
    assert add_dataset(home, "same", same, BY_PERSON).digest == digest, "names alone do not count"
    alone = write_parquet(
        tmp_path / "alone.parquet", make_images(60), [0, 1] * 30, "ab", person=[str(row) for row in range(60)]
    )
    assert add_dataset(home, "alone", alone, BY_PERSON).digest != digest


def test_people_of_two_given_splits_are_counted_and_told(home, tmp_path, write_parquet, make_images, capsys):
    images = make_images(40)
    for split, rows in {"train": range(20), "validation": range(20, 30), "test": range(30, 40)}.items():
        write_parquet(
            tmp_path / "given" / f"{split}.parquet",
            images[list(rows)],
            [row % 2 for row in rows],
            "ab",
            person=[f"person {row % 4 if split != 'test' or row == 39 else row}" for row in rows],
        )
    manifest = add_dataset(home, "given", tmp_path / "given", AddOptions(group_column="person"))
    assert manifest.findings.num_groups_across == {
        "train+validation": 4,
        "train+test": 1,
        "validation+test": 1,
    }
    _, is_clean = open_test_split(home / "given", "a test")
    assert is_clean.tolist() == [True] * 9 + [False], "one person of the test split is in train too"
    print_added(manifest, home / "given")
    text = capsys.readouterr().out
    assert "groups by person: train 4, validation 4, test 10" in text
    assert (
        "There are groups with images in both train and validation, in both train and test, in both" in text
    )


def test_showing_a_dataset_counts_the_groups_of_each_split(home, people, capsys):
    manifest = add_dataset(home, "people", people, BY_PERSON)
    print_dataset(manifest, home / "people")
    text = capsys.readouterr().out
    counts = ", ".join(f"{name} {split.num_groups}" for name, split in manifest.splits.items())
    assert f"groups, by person {counts}" in " ".join(text.split())
    assert "groups that are in two splits" in text


def test_a_few_files_that_were_saved_as_rgb_are_told(home, tmp_path, write_image, make_images, capsys):
    for number, image in enumerate(make_images(40)):
        pixels = np.stack([image] * 3, axis=2) if number < 5 else image
        write_image(tmp_path / "mixed" / ("a" if number % 2 else "b") / f"{number}.png", pixels)
    print_added(add_dataset(home, "mixed", tmp_path / "mixed", AddOptions()), home / "mixed")
    assert "5 of 40 images are RGB and the others gray, so all are stored as RGB" in capsys.readouterr().out
    gray = add_dataset(home, "gray", tmp_path / "mixed", AddOptions(channels=1))
    print_added(gray, home / "gray")
    assert "are RGB" not in capsys.readouterr().out


def test_the_digests_of_images_are_those_of_equal_pixels(home, people):
    add_dataset(home, "people", people, BY_PERSON)
    train = Dataset.open(home / "people").train
    digests = read_pixel_digests(home / "people" / "train.arrow")
    assert len(digests) == len(train) == len(set(digests.tolist()))
