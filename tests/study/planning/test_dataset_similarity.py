"""The distance of datasets: a metric, in units that can be told."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulated import MANIFEST

from study.planning.dataset_similarity import DatasetTraits

TRAITS = st.builds(
    DatasetTraits,
    name=st.just("d"),
    digest=st.just("0"),
    num_classes=st.integers(2, 1000),
    num_images=st.integers(10, 10**7),
    channels=st.sampled_from([1, 3]),
    side_pixels=st.floats(4, 1024),
    balance=st.floats(0, 1),
)


def test_the_traits_of_a_dataset() -> None:
    traits = DatasetTraits.of(MANIFEST)
    assert (traits.num_classes, traits.num_images, traits.channels, traits.side_pixels) == (2, 100, 1, 8)
    assert traits.balance == pytest.approx(-(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)), abs=1e-4)
    assert DatasetTraits.read(traits.to_json()) == traits


@pytest.mark.parametrize(
    ("changes", "distance"),
    [
        ({}, 0),
        ({"num_classes": 20}, 1),
        ({"num_images": 10}, 1),
        ({"side_pixels": 32.0}, 1),
        ({"channels": 3}, 1),
        ({"num_classes": 20, "num_images": 1000, "channels": 3}, 3),
    ],
)
def test_each_of_these_is_one(changes: dict[str, float], distance: float) -> None:
    traits = DatasetTraits.of(MANIFEST)
    other = replace(traits, **changes)
    assert traits.distance(other) == pytest.approx(distance)
    assert traits.similarity(other) == pytest.approx(1 / (1 + distance))


@given(TRAITS, TRAITS, TRAITS)
def test_it_is_a_distance(one: DatasetTraits, other: DatasetTraits, third: DatasetTraits) -> None:
    assert one.distance(one) == 0
    assert one.distance(other) == pytest.approx(other.distance(one))
    assert one.distance(third) <= one.distance(other) + other.distance(third) + 1e-9


@pytest.mark.parametrize("text", ["", "[]", '{"name": "d"}', "{"])
def test_what_another_program_wrote_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        DatasetTraits.read(text)
