"""Small data is told before anything is spent on it."""

from dataclasses import replace

import pytest

from study.cli.reports.dataset_tables import print_added
from study.evaluation.small_data import small_data_remarks
from study.home import Home
from trainables.datasets.manifest import Manifest, SplitSummary


def with_splits(manifest: Manifest, **splits: SplitSummary) -> Manifest:
    return replace(manifest, splits={**manifest.splits, **splits})


def small(num_images: int, num_groups: int | None = None) -> SplitSummary:
    counts = (num_images - 9, *(1,) * 9)
    return SplitSummary(
        num_images=num_images, num_by_class=counts, digest="", origin="carved", num_groups=num_groups
    )


def test_enough_images_need_no_word(digits_home: Home) -> None:
    assert small_data_remarks(Manifest.read(digits_home.datasets / "digits")) == ()


def test_the_interval_to_expect_is_told(digits_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty test images, one of a class, were taken without a word: 28.57 % (0.08 % to 57.22 %)."""
    digits = Manifest.read(digits_home.datasets / "digits")
    (test,) = small_data_remarks(with_splits(digits, test=small(30)))
    assert test.startswith("The test split is small: 30 images, 1 of class 1.")
    assert "An accuracy of 80% will have an interval of about 63% to 90%." in test
    both = small_data_remarks(with_splits(digits, test=small(360, 12), validation=small(360, 13)))
    assert "360 images of 12 groups" in both[0]
    assert "an interval of about 76% to 84%, or up to 55% to 95% where the images of a group are" in both[0]
    assert both[1].startswith("The validation split, which chooses among trials, is small: 360 images of 13")
    print_added(with_splits(digits, test=small(30)), digits_home.datasets / "digits")
    assert "The test split is small: 30 images" in capsys.readouterr().out


def test_folds_are_offered_where_they_can_be_had(digits_home: Home) -> None:
    digits = Manifest.read(digits_home.datasets / "digits")
    few = with_splits(digits, train=small(200, 20), validation=small(60, 6))
    (validation,) = small_data_remarks(few)
    assert "`validate: {folds: 5}` in a study file validates on all 260 images of 26 groups" not in validation
    enough = replace(small(200, 20), num_by_class=(20,) * 10)
    few = with_splits(digits, train=enough, validation=small(60, 6))
    (validation,) = small_data_remarks(few)
    assert "`validate: {folds: 5}` in a study file validates on all 260 images of 26 groups" in validation


def test_with_folds_the_images_of_all_folds_count(digits_home: Home) -> None:
    digits = Manifest.read(digits_home.datasets / "digits")
    few = with_splits(digits, train=small(200), validation=small(60))
    assert small_data_remarks(few, num_folds=5) == (), "260 images tell an accuracy well enough"
    fewer = with_splits(digits, train=small(100), validation=small(30))
    (pool,) = small_data_remarks(fewer, num_folds=5)
    assert pool.startswith("The images of all folds, which choose among trials, are few: 130 images.")
