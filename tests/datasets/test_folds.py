"""Folds: every image in one, nothing connected is torn apart, classes as equal as groups allow."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset, fold_numbers, images_at
from trainables.datasets.manifest import Findings, Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.split import Split
from trainables.errors import DatasetError


def dataset_of(labels, pixels, groups=None, num_validation=0):
    """A dataset of 1x1 images in memory, the last of which are its validation split."""
    labels, pixels = np.asarray(labels, np.int64), np.asarray(pixels, np.uint16)
    images = np.stack([pixels // 256, pixels % 256], 1).astype(np.uint8).reshape(-1, 1, 2, 1)
    groups = None if groups is None else np.asarray(groups, np.int64)
    num_train = len(labels) - num_validation
    train, validation = (
        Split(images=images[part], labels=labels[part], groups=None if groups is None else groups[part])
        for part in (slice(num_train), slice(num_train, None))
    )
    nothing = Findings(num_duplicates_within={}, num_duplicates_across={}, num_label_conflicts=0, skipped={})
    manifest = Manifest(
        name="dots",
        digest="0" * 64,
        classes=tuple("abcdef"[: labels.max() + 1]),
        height=1,
        width=2,
        channels=1,
        pixel_mean=(0.5,),
        pixel_std=(0.2,),
        splits={},
        findings=nothing,
        options={},
        source="made up",
        licence=None,
        added="",
    )
    return Dataset(manifest=manifest, train=train, validation=validation)


@settings(max_examples=50)
@given(data=st.data(), num_folds=st.integers(2, 6), num_images=st.integers(30, 90))
def test_every_image_is_held_out_once_and_nothing_connected_is_torn_apart(data, num_folds, num_images):
    keys = st.lists(st.integers(0, 40), min_size=num_images, max_size=num_images)
    labels = data.draw(st.lists(st.integers(0, 2), min_size=num_images, max_size=num_images))
    pixels, groups = data.draw(keys), data.draw(keys)
    dataset = dataset_of(labels, pixels, groups, num_validation=num_images // 3)
    try:
        folded = FoldedDataset.of(dataset, num_folds)
    except DatasetError:
        return  # too much hangs together; another test looks at the message
    assert set(folded.fold_N) == set(range(num_folds))
    for connection in (pixels, groups):
        for key in set(connection):
            assert len(set(folded.fold_N[np.asarray(connection) == key])) == 1
    pool = images_at(dataset, np.arange(num_images))
    held_out = np.concatenate([folded.positions(fold) for fold in range(num_folds)])
    assert sorted(held_out) == list(range(num_images))
    for fold, part in enumerate(folded.datasets):
        expected = folded.held_out(fold)
        np.testing.assert_array_equal(part.validation.images, expected.images)
        np.testing.assert_array_equal(part.validation.labels, expected.labels)
        assert len(part.train) + len(part.validation) == num_images
        both = np.concatenate([part.train.groups, part.validation.groups])
        assert sorted(both) == sorted(pool.groups)
        assert not set(part.train.groups) & set(part.validation.groups)
        assert set(part.train.labels) == set(labels), "a class would be missing in training"


@settings(max_examples=30)
@given(st.lists(st.integers(7, 60), min_size=2, max_size=4), st.integers(2, 7))
def test_single_images_are_stratified_exactly(num_by_class, num_folds):
    labels = np.repeat(np.arange(len(num_by_class)), num_by_class)
    fold_N = fold_numbers(dataset_of(labels, np.arange(len(labels))), num_folds)
    sizes = np.bincount(fold_N)
    assert sizes.max() - sizes.min() <= len(num_by_class)
    for label, num in enumerate(num_by_class):
        counts = np.bincount(fold_N[labels == label], minlength=num_folds)
        assert counts.max() - counts.min() <= 1, num


@settings(max_examples=30)
@given(st.integers(0, 99))
def test_groups_of_many_sizes_are_stratified_as_well_as_they_allow(seed):
    """People with 4 to 40 images of some of the classes."""
    draw = np.random.default_rng(seed)
    persons = np.repeat(np.arange(60), draw.integers(4, 41, 60))
    labels = (draw.integers(0, 3, 60)[persons] + draw.integers(0, 2, len(persons))) % 3
    fold_N = fold_numbers(dataset_of(labels, np.arange(len(labels)), persons), 5)
    for label in range(3):
        share_F = np.bincount(fold_N[labels == label], minlength=5) / (labels == label).sum()
        assert share_F.min() > 0.15
        assert share_F.max() < 0.25


def test_a_rare_class_of_as_many_groups_as_folds_is_in_every_fold():
    """Its groups are small, and would otherwise come last, where other classes decide."""
    persons = np.concatenate([np.repeat(np.arange(30), 20), np.repeat(np.arange(30, 35), 2)])
    labels = np.concatenate([np.zeros(600), np.ones(10)]).astype(int)
    fold_N = fold_numbers(dataset_of(labels, np.arange(610), persons), 5)
    assert np.bincount(fold_N[labels == 1]).tolist() == [2] * 5


def test_folds_are_the_same_at_any_time():
    labels = np.arange(300) % 4
    dataset = dataset_of(labels, np.arange(300), np.arange(300) // 7)
    of_each_group = fold_numbers(dataset, 5)[::7].tolist()
    assert of_each_group[:20] == [0, 2, 2, 3, 3, 4, 2, 0, 4, 4, 4, 1, 0, 2, 3, 0, 2, 0, 3, 1], (
        "a study that is resumed would go on with others"
    )


def test_a_class_of_too_few_groups_is_refused_with_the_way_out():
    labels = [0] * 20 + [1] * 9
    persons = [*range(20), *([20] * 3), *([21] * 3), *([22] * 3)]
    with pytest.raises(
        DatasetError,
        match=r"5 folds need at least 5 groups of .* 'b' has 3; take at most 3 folds, add",
    ):
        fold_numbers(dataset_of(labels, range(29), persons), 5)
    with pytest.raises(DatasetError, match=r"at least 2 distinct images .* 'b' has 1; add images, or merge"):
        fold_numbers(dataset_of([0, 0, 1, 1], [0, 1, 2, 2]), 2)


def test_each_fold_has_a_digest_of_its_own():
    dataset = dataset_of(np.arange(60) % 2, np.arange(60))
    digests = {part.manifest.digest for folds in (2, 3) for part in FoldedDataset.of(dataset, folds).datasets}
    assert len(digests | {dataset.manifest.digest}) == 6


def test_a_stored_dataset_has_the_folds_of_its_images(tmp_path):
    """Its digests of pixels are read, not computed."""
    add_dataset(tmp_path, "digits", None, AddOptions())
    stored = Dataset.open(tmp_path / "digits")
    expected = fold_numbers(dataclasses.replace(stored, folder=None), 5)
    np.testing.assert_array_equal(fold_numbers(stored, 5), expected)
