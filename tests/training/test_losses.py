import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from trainables.errors import RecipeError
from trainables.losses import build_loss, class_weights
from trainables.recipe.loss import Loss

FER2013 = {"angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215, "neutral": 4965, "sad": 4830, "surprise": 3171}


@given(st.lists(st.integers(1, 500), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_power_1_is_scikit_learns_balanced(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(Loss(class_weight_power=1.0), [str(i) for i in range(len(counts))], counts)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels))


def test_weights_of_fer2013_are_the_published_ones():
    weights = class_weights(Loss(class_weight_power=1.0), list(FER2013), list(FER2013.values()))
    assert [round(weight, 4) for weight in weights] == [1.0266, 9.4066, 1.0010, 0.5684, 0.8260, 0.8491, 1.2934]


def test_power_and_cap_soften_the_weights():
    classes, counts = ["many", "few"], [90, 10]
    assert class_weights(Loss(), classes, counts) is None
    assert class_weights(Loss(class_weight_power=0.5), classes, counts) == pytest.approx((np.sqrt(100 / 180), np.sqrt(100 / 20)))
    assert class_weights(Loss(class_weight_power=1.0, class_weight_cap=2.0), classes, counts) == pytest.approx((100 / 180, 2.0))


def test_a_class_without_images_has_a_finite_weight():
    assert class_weights(Loss(class_weight_power=1.0), ["a", "b"], [4, 0]) == (0.5, 1.0)


def test_a_table_is_put_into_the_order_of_the_classes():
    assert class_weights(Loss(class_weights={"b": 2.0, "a": 1.0}), ["a", "b"], [1, 1]) == (1.0, 2.0)


def test_a_table_must_name_exactly_the_classes():
    with pytest.raises(RecipeError, match="lacks 'b'; classes: a, b"):
        class_weights(Loss(class_weights={"a": 1.0}), ["a", "b"], [1, 1])
    with pytest.raises(RecipeError, match="names 'c', which is no class"):
        class_weights(Loss(class_weights={"a": 1.0, "b": 1.0, "c": 1.0}), ["a", "b"], [1, 1])


def test_loss_is_torchs_weighted_smoothed_cross_entropy():
    loss = build_loss(Loss(label_smoothing=0.1, class_weights={"a": 1.0, "b": 3.0}), ["a", "b"], [1, 1], torch.device("cpu"))
    logits_BK, labels_B = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    expected = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]), label_smoothing=0.1)(logits_BK, labels_B)
    torch.testing.assert_close(loss(logits_BK, labels_B), expected)
