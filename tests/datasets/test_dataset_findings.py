"""Repeats, leaks, contradicting labels, and the statistics of the manifest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from trainables.datasets import pixel_statistics
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.pixel_statistics import pixel_mean_and_std
from trainables.datasets.sealed_test import open_test_split


@pytest.fixture
def leaky(tmp_path, write_parquet, make_images):
    """Given splits of distinct images, to which repeats within and across the splits were added."""
    images = make_images(30)
    rows = {
        "train": [*range(10), 0, 0, 1],
        "validation": [*range(10, 20), 2, 3, 3],
        "test": [*range(20, 30), 4, 10, 11, 3],
    }
    labels = {
        "train": [row % 2 for row in range(13)],
        "validation": [row % 2 for row in range(13)],
        "test": [row % 2 for row in range(14)],
    }
    for split, numbers in rows.items():
        write_parquet(tmp_path / "leaky" / f"{split}.parquet", images[numbers], labels[split], "ab")
    return tmp_path / "leaky"


def test_repeats_are_counted_within_and_across_splits(home, leaky):
    findings = add_dataset(home, "leaky", leaky, AddOptions()).findings
    assert findings.num_duplicates_within == {"train": 3, "validation": 1, "test": 0}
    assert findings.num_duplicates_across == {"train+validation": 2, "train+test": 2, "validation+test": 3}
    assert findings.skipped == {}


def test_label_conflicts_are_distinct_images(home, leaky):
    # Image 0 stands under a (0, 10) and b (11), 1 under b and a, 3 under a and b, 11 under a and b.
    labels_by_image = {0: {0, 1}, 1: {1, 0}, 2: {0}, 3: {1, 0}, 4: {0}, 10: {0, 1}, 11: {1, 0}}
    assert add_dataset(home, "leaky", leaky, AddOptions()).findings.num_label_conflicts == sum(
        len(labels) > 1 for labels in labels_by_image.values()
    )


def test_clean_images_of_the_test_split_stand_nowhere_else(home, leaky):
    add_dataset(home, "leaky", leaky, AddOptions())
    split, is_clean = open_test_split(home / "leaky", "a test")
    assert len(split) == 14
    assert is_clean.tolist() == [True] * 10 + [False] * 4


def test_carved_splits_share_no_image(home, tmp_path, write_parquet, make_images):
    images = make_images(40)[np.arange(80) // 2]
    findings = add_dataset(
        home, "ab", write_parquet(tmp_path / "x.parquet", images, [0, 0, 1, 1] * 20, "ab"), AddOptions()
    ).findings
    assert set(findings.num_duplicates_across.values()) == {0}
    assert sum(findings.num_duplicates_within.values()) == 40


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (7, 3, 2, 3)))
def test_statistics_are_those_of_all_pixels(images):
    mean, std = pixel_mean_and_std(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 1, 2)), rtol=1e-9, atol=1e-12)


def test_statistics_cover_every_chunk():
    images = np.zeros((pixel_statistics.PIXELS_PER_CHUNK // 100 + 1, 10, 10, 1), np.uint8)
    images[-1] = 255
    assert pixel_mean_and_std(images)[0] == (pytest.approx(1 / len(images)),)
