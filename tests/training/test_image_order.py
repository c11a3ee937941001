import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit
from torch.utils.data import WeightedRandomSampler

from trainables.devices.randomness import generator
from trainables.errors import RecipeError
from trainables.training.image_order import epoch_order, kept_images

CPU = torch.device("cpu")


@st.composite
def labels_and_number(draw):
    counts = draw(st.lists(st.integers(0, 40), min_size=1, max_size=7).filter(any))
    labels_N = np.random.default_rng(draw(st.integers(0, 99))).permutation(
        np.repeat(np.arange(len(counts)), counts)
    )
    return labels_N, len(counts), draw(st.integers(1, len(labels_N)))


@given(labels_and_number())
@settings(max_examples=80)
def test_keeps_exactly_as_many_images_and_the_shares_of_classes(drawn):
    labels_N, num_classes, num_kept = drawn
    kept = kept_images(labels_N, num_kept, num_classes)
    assert kept.dtype == np.int64
    assert len(kept) == num_kept
    assert (np.diff(kept) > 0).all()
    num_by_class_K, num_kept_K = (
        np.bincount(chosen, minlength=num_classes) for chosen in (labels_N, labels_N[kept])
    )
    share_K = num_by_class_K * (num_kept / len(labels_N))
    if num_kept >= (num_by_class_K > 0).sum():
        assert (num_kept_K[num_by_class_K > 0] >= 1).all()
    if (share_K[num_by_class_K > 0] >= 1).all():
        assert (np.abs(num_kept_K - share_K) < 1 - 1e-9).all()


@given(labels_and_number(), st.data())
@settings(max_examples=60)
def test_of_each_class_the_smaller_draw_is_part_of_the_larger(drawn, data):
    labels_N, num_classes, num_kept = drawn
    fewer = kept_images(labels_N, data.draw(st.integers(1, num_kept)), num_classes)
    more = kept_images(labels_N, num_kept, num_classes)
    for label in range(num_classes):
        of_fewer, of_more = (set(kept[labels_N[kept] == label].tolist()) for kept in (fewer, more))
        assert of_fewer <= of_more or of_more <= of_fewer


@pytest.mark.parametrize("num_kept", [10, 37, 95, 101])
def test_shares_are_rounded_as_scikit_learn_does(num_kept):
    labels_N = np.repeat(np.arange(4), (61, 23, 17, 9))
    drawn, _ = next(StratifiedShuffleSplit(1, train_size=num_kept, random_state=0).split(labels_N, labels_N))
    kept = kept_images(labels_N, num_kept, 4)
    assert np.bincount(labels_N[kept]).tolist() == np.bincount(labels_N[drawn]).tolist()


def test_a_rare_class_keeps_an_image_at_the_cost_of_the_one_most_above_its_share():
    labels_N = np.repeat(np.arange(3), (500, 499, 1))
    assert np.bincount(labels_N[kept_images(labels_N, 10, 3)]).tolist() == [5, 4, 1]
    assert np.bincount(labels_N[kept_images(labels_N, 2, 3)]).tolist() == [1, 1]


def test_the_draw_is_fixed_and_not_the_first_images():
    labels_N = np.arange(200) % 2
    kept = kept_images(labels_N, 20, 2)
    np.testing.assert_array_equal(kept, kept_images(labels_N, 20, 2))
    assert kept.max() > 100
    np.testing.assert_array_equal(kept_images(labels_N, None, 2), np.arange(200))
    np.testing.assert_array_equal(kept_images(labels_N, 200, 2), np.arange(200))


def test_more_images_than_there_are_cannot_be_kept():
    with pytest.raises(
        RecipeError, match="train_images must be at most the 4 images of the training split, got 5; lower it"
    ):
        kept_images(np.array([0, 1, 0, 1]), 5, 2)


def test_without_a_power_each_image_comes_once_in_the_derived_order():
    order_N = epoch_order(torch.arange(50) % 3, 0.0, 7, 4)
    assert torch.equal(order_N, torch.randperm(50, generator=generator(CPU, 7, "order", 4)))


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_with_a_power_the_order_is_that_of_torchs_weighted_sampler(power):
    labels_N = torch.tensor([0] * 30 + [2] * 6 + [3] * 2)  # class 1 has no images
    weights = [{0: 30, 2: 6, 3: 2}[label] ** -power for label in labels_N.tolist()]
    torchs = list(WeightedRandomSampler(weights, 38, generator=generator(CPU, 7, "order", 4)))
    order_N = epoch_order(labels_N, power, 7, 4)
    assert order_N.dtype == torch.int64
    assert order_N.tolist() == torchs
    assert order_N.tolist() != epoch_order(labels_N, power, 7, 5).tolist()


def test_power_1_makes_classes_equally_often_and_a_half_lies_between():
    labels_N = torch.repeat_interleave(torch.tensor([8100, 900]))
    for power, share in ((1.0, 1 / 2), (0.5, 1 / 4)):  # 90 : 30 at one half
        measured = labels_N[epoch_order(labels_N, power, 0, 0)].double().mean().item()
        assert measured == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 9000))
