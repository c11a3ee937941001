"""Carving: stratified, reproducible, and never through a group."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.datasets.carving import carve_splits, connected_groups
from trainables.errors import DatasetError

BOTH = {"test": 0.1, "validation": 0.1}


def carve(labels, fractions=BOTH, *, pixel_keys=None, group_keys=None, splits=None, seed=0):
    labels = np.asarray(labels)
    connections = [np.arange(len(labels)) if pixel_keys is None else np.asarray(pixel_keys)]
    if group_keys is not None:
        connections.append(np.asarray(group_keys))
    splits = np.full(len(labels), "train", "U10") if splits is None else np.asarray(splits, "U10")
    return carve_splits(splits, fractions, labels=labels, connections=connections, seed=seed)


@settings(max_examples=50, deadline=None)
@given(
    num_by_class=st.lists(st.integers(3, 60), min_size=2, max_size=4),
    fractions=st.fixed_dictionaries({"test": st.floats(0.01, 0.3), "validation": st.floats(0.01, 0.3)}),
    seed=st.integers(0, 9),
)
def test_single_images_are_stratified_exactly(num_by_class, fractions, seed):
    labels = np.repeat(np.arange(len(num_by_class)), num_by_class)
    carved = carve(labels, fractions, seed=seed)
    for split, fraction in fractions.items():
        counts = np.bincount(labels[carved == split], minlength=len(num_by_class))
        assert counts.tolist() == [max(1, int(fraction * number + 0.5)) for number in num_by_class]
    assert set(carved) == {"train", "validation", "test"}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), num_images=st.integers(12, 60), seed=st.integers(0, 9))
def test_connected_images_stay_together(data, num_images, seed):
    keys = st.lists(st.integers(0, 40), min_size=num_images, max_size=num_images)
    labels = data.draw(st.lists(st.integers(0, 2), min_size=num_images, max_size=num_images))
    pixel_keys, group_keys = data.draw(keys), data.draw(keys)
    try:
        carved = carve(labels, pixel_keys=pixel_keys, group_keys=group_keys, seed=seed)
    except DatasetError:
        # Everything may hang together; another test looks at the message.
        return
    for connection in (pixel_keys, group_keys):
        for key in set(connection):
            assert len(set(carved[np.asarray(connection) == key])) == 1
    assert {"test", "validation"} < set(carved)
    assert set(np.asarray(labels)[carved == "train"]) == set(labels)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=20))
def test_groups_are_those_of_a_search_through_the_graph(pairs):
    groups = connected_groups([np.array(keys) for keys in zip(*pairs, strict=True)])
    for start in range(len(pairs)):
        reached, frontier = {start}, [start]
        while frontier:
            image = frontier.pop()
            joined = {
                other
                for other, pair in enumerate(pairs)
                if pair[0] == pairs[image][0] or pair[1] == pairs[image][1]
            }
            frontier += joined - reached
            reached |= joined
        assert set(np.flatnonzero(groups == groups[start])) == reached


def test_carving_depends_on_the_seed_only():
    labels = np.arange(200) % 4
    np.testing.assert_array_equal(carve(labels, seed=5), carve(labels, seed=5))
    assert (carve(labels, seed=5) != carve(labels, seed=6)).any()


def test_the_test_split_does_not_depend_on_the_validation_fraction():
    labels = np.arange(200) % 4
    few, many = carve(labels), carve(labels, {"test": 0.1, "validation": 0.4})
    np.testing.assert_array_equal(few == "test", many == "test")


def test_large_groups_come_as_close_as_they_can():
    persons = np.repeat(np.arange(20), 30)
    labels = np.tile([0, 1], 300)
    carved = carve(labels, {"test": 0.2}, group_keys=persons)
    assert np.bincount(labels[carved == "test"]).tolist() == [60, 60]
    carved = carve(labels, {"test": 0.17}, group_keys=persons)
    assert abs((carved == "test").sum() - 102) <= 15


def test_every_class_gets_an_image_even_from_large_groups():
    labels = np.repeat([0, 1], [100, 30])
    persons = np.concatenate([np.arange(100), 100 + np.arange(30) // 10])
    carved = carve(labels, {"test": 0.1, "validation": 0.1}, group_keys=persons)
    for split in ("train", "validation", "test"):
        assert set(labels[carved == split]) == {0, 1}


def test_a_class_of_one_group_stays_in_train():
    labels = np.repeat([0, 1], [30, 5])
    carved = carve(labels, pixel_keys=np.concatenate([np.arange(30), np.full(5, 30)]))
    assert set(carved[labels == 1]) == {"train"}


def test_repeats_of_a_given_split_stay_in_train():
    splits = ["train"] * 40 + ["validation"] * 20
    pixel_keys = [*range(40), *range(20)]
    carved = carve([0, 1] * 30, {"test": 0.25}, pixel_keys=pixel_keys, splits=splits)
    assert set(np.flatnonzero(carved == "test")) <= set(range(20, 40))
    assert (carved == "test").sum() == 10
    assert (carved[40:] == "validation").all()


@pytest.mark.parametrize(
    "given_too",
    [
        {"pixel_keys": [0] * 10},
        {"pixel_keys": [0, 1, 2, 3, 4] * 2, "splits": ["train"] * 5 + ["validation"] * 5},
    ],
)
def test_nothing_to_carve_is_refused(given_too):
    with pytest.raises(
        DatasetError, match="no image can be carved for test: all of train is one group, or connected"
    ):
        carve([0, 1] * 5, {"test": 0.2}, **given_too)


def test_thirty_thousand_images_are_carved_quickly():
    labels = np.arange(30_000) % 7
    start = time.perf_counter()
    carve(labels, pixel_keys=np.arange(30_000) // 2)
    assert time.perf_counter() - start < 2
