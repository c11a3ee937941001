"""Which datasets there are."""

import pytest

from trainables.datasets.adding import add_dataset
from trainables.datasets.listing import find_dataset, list_datasets
from trainables.datasets.options import AddOptions
from trainables.errors import UnknownDatasetError


def test_datasets_are_listed_by_name(home, ten_per_class):
    for name in ("zoo", "ants"):
        add_dataset(home, name, ten_per_class, AddOptions())
    assert [manifest.name for manifest in list_datasets(home)] == ["ants", "zoo"]


def test_folders_that_are_no_dataset_are_left_out(home, ten_per_class):
    add_dataset(home, "zoo", ten_per_class, AddOptions())
    for name, content in {
        ".zoo.adding-0": (home / "zoo" / "manifest.json").read_text(),
        "damaged": "{",
        "empty": None,
    }.items():
        (home / name).mkdir()
        if content is not None:
            (home / name / "manifest.json").write_text(content)
    assert [manifest.name for manifest in list_datasets(home)] == ["zoo"]


def test_a_place_that_does_not_exist_has_no_datasets(home):
    assert list_datasets(home) == ()


def test_a_dataset_is_found_by_name(home, ten_per_class):
    add_dataset(home, "zoo", ten_per_class, AddOptions())
    assert find_dataset(home, "zoo") == home / "zoo"
    with pytest.raises(UnknownDatasetError, match=r"unknown dataset 'zo'; known: zoo; did you mean 'zoo'\?"):
        find_dataset(home, "zo")
