"""Tests of two samples: alarms are as rare as they say, and shifts are found."""

from dataclasses import replace

import numpy as np
import pytest

from study.field.appearance import MEASURES, appearance
from study.field.sample_comparison import Sample, compare, strangeness
from study.field.two_samples import between_features, between_shares, between_values, p_values


def sample(source: np.random.Generator, num: int, *, shift: float = 0.0) -> Sample:
    """Made-up images."""
    features_ND = source.normal(shift, 1, (num, 8))
    probabilities_NK = source.dirichlet([1, 1, 1], num)
    return Sample(
        measures={name: source.normal(size=num) for name in MEASURES},
        features_ND=(features_ND / np.linalg.norm(features_ND, axis=1, keepdims=True)).astype(np.float32),
        probabilities_NK=probabilities_NK.astype(np.float32),
    )


def test_images_of_one_source_alarm_as_rarely_as_the_level_says() -> None:
    source, num_alarms = np.random.default_rng(0), 0
    for _ in range(100):
        parts = compare(sample(source, 60), sample(source, 40), 0.05)
        num_alarms += any(part.is_beyond_chance for part in parts)
    assert num_alarms <= 11  # of 100 at 5 % more are chance in 1 of 100 cases


def test_persons_of_one_source_alarm_as_rarely_as_the_level_says() -> None:
    """Images of a person are alike: taken one by one they alarm in most cases."""
    source, alarms = np.random.default_rng(1), {True: 0, False: 0}
    for _ in range(60):
        person_M = np.repeat(np.arange(24), 8)
        values_M = np.repeat(source.normal(size=24), 8) + 0.1 * source.normal(size=192)
        is_new_M = person_M >= 14
        for has_units in (True, False):
            found = p_values({"x": between_values(values_M)}, is_new_M, person_M if has_units else None)
            alarms[has_units] += found["x"][1] <= 0.05
    assert alarms[True] <= 8
    assert alarms[False] > 20


@pytest.mark.parametrize("part", [*MEASURES, "what the network sees", "predicted classes"])
def test_a_shift_of_one_part_is_found_there(part: str) -> None:
    source = np.random.default_rng(2)
    known, new = sample(source, 200), sample(source, 150)
    if part in MEASURES:
        new.measures[part] += 1.0
    elif part == "predicted classes":
        new.probabilities_NK[:60] = [0.9, 0.05, 0.05]
    else:
        new = Sample(
            measures=new.measures,
            features_ND=sample(source, 150, shift=0.5).features_ND,
            probabilities_NK=new.probabilities_NK,
        )
    found = {one.name: one.is_beyond_chance for one in compare(known, new, 0.05)}
    assert found[part]
    assert sum(found.values()) == 1


def test_distances_are_those_of_their_definitions() -> None:
    from scipy.stats import ks_2samp

    source = np.random.default_rng(3)
    values_M = np.round(source.normal(size=90), 1)  # with ties
    is_new_M = np.arange(90) >= 50
    found = p_values(
        {
            "values": between_values(values_M),
            "shares": between_shares(np.arange(90) % 2 + is_new_M, 3),
            "features": between_features(np.stack([values_M, values_M], 1).astype(np.float32)),
        },
        is_new_M,
    )
    assert found["values"][0] == pytest.approx(ks_2samp(values_M[:50], values_M[50:]).statistic)
    assert found["shares"] == pytest.approx((0.5, 1 / 2000))
    assert 0 < found["features"][0] < 0.5


def test_appearance_is_of_gray_pixels() -> None:
    images_NHWC = np.zeros((3, 8, 8, 1), np.uint8)
    images_NHWC[1] = 255
    images_NHWC[2, ::2] = 255
    found = appearance(images_NHWC)
    assert found["brightness"].tolist() == pytest.approx([0, 1, 0.5])
    assert found["contrast"].tolist() == pytest.approx([0, 0, 0.5])
    assert found["sharpness"][:2].tolist() == [0, 0]
    assert found["sharpness"][2] > 1
    in_colour = appearance(np.repeat(images_NHWC, 3, axis=3))
    for name in MEASURES:
        np.testing.assert_allclose(in_colour[name], found[name], atol=1e-9)


def test_what_lies_far_from_all_known_is_the_strangest() -> None:
    source = np.random.default_rng(4)
    known, new = sample(source, 200), sample(source, 4)
    angles = source.uniform(0, 1, 200)
    known = replace(known, features_ND=np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
    common = [np.cos(0.5), np.sin(0.5)]
    new = replace(new, features_ND=np.array([common, [0, -1], [-1, 0], common], np.float32))
    for name in MEASURES:
        new.measures[name][:] = 0
    new.measures["sharpness"][3] = 40  # common to the network, and yet like nothing known
    found = strangeness(known, new)
    assert found[0] < 1 <= found[1] < found[2], "the opposite lies the farthest"
    assert found[3] >= 1
