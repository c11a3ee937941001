"""The test split is opened in one place, and every opening is on record."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import open_test_split, openings
from trainables.errors import DatasetError, UnknownDatasetError


def test_a_measurement_that_is_begun_again_is_one_opening(home, ten_per_class):
    add_dataset(home, "pets", ten_per_class, AddOptions())
    for opened_by, measurement in (("study a", "x"), ("study a", "x"), ("study a", "y"), ("study b", "x")):
        open_test_split(home / "pets", opened_by, measurement=measurement)
    assert [(one.opened_by, one.measurement) for one in openings(home / "pets")] == [
        ("study a", "x"),
        ("study a", "y"),
        ("study b", "x"),
    ]


def test_every_opening_is_recorded(home, ten_per_class):
    manifest = add_dataset(home, "pets", ten_per_class, AddOptions())
    assert openings(home / "pets") == ()

    split, is_clean = open_test_split(home / "pets", "study one")
    open_test_split(home / "pets", "study 'zwei' ü\n")

    assert split.images.shape == (3, 4, 4, 1)
    assert np.bincount(split.labels).tolist() == [1, 1, 1]
    assert is_clean.tolist() == [True] * 3
    records = openings(home / "pets")
    assert [record.opened_by for record in records] == ["study one", "study 'zwei' ü\n"]
    assert {record.dataset_digest for record in records} == {manifest.digest}
    assert all(
        datetime.now(UTC) - datetime.fromisoformat(record.time) < timedelta(minutes=1) for record in records
    )


def test_a_split_that_cannot_be_opened_is_not_recorded(home, ten_per_class):
    add_dataset(home, "pets", ten_per_class, AddOptions())
    (home / "pets" / "test.arrow").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"damaged dataset: .*test.arrow"):
        open_test_split(home / "pets", "a study")
    assert openings(home / "pets") == ()


def test_an_unknown_dataset_has_no_test_split(home):
    with pytest.raises(
        UnknownDatasetError,
        match=r"unknown dataset 'pets'; there are none in .*datasets yet; add one with `study data add`",
    ):
        open_test_split(home / "pets", "a study")
