import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from trainables.metrics.classification import METRICS, Metrics
from trainables.metrics.from_logits import metrics_of, metrics_of_logits


@st.composite
def predictions(draw):
    num_classes, num_images = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Classes drawn from a part of all, so that some have no images and some are never predicted.
    labels_N = generator.integers(0, draw(st.integers(1, num_classes)), num_images)
    logits_NK = generator.normal(0, 3, (num_images, num_classes)).astype(np.float32)
    return labels_N, logits_NK


@given(predictions())
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(drawn):
    labels_N, logits_NK = drawn
    num_classes, predicted_N = logits_NK.shape[1], logits_NK.argmax(1)
    measured = metrics_of_logits(torch.from_numpy(logits_NK), torch.from_numpy(labels_N))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes without images
        kappa = oracle.cohen_kappa_score(labels_N, predicted_N)
        balanced_accuracy = oracle.balanced_accuracy_score(labels_N, predicted_N)
    assert measured.accuracy == pytest.approx(oracle.accuracy_score(labels_N, predicted_N))
    assert measured.balanced_accuracy == pytest.approx(balanced_accuracy)
    assert measured.macro_f1 == pytest.approx(
        oracle.f1_score(labels_N, predicted_N, average="macro", zero_division=0)
    )
    assert measured.kappa == pytest.approx(0 if math.isnan(kappa) else kappa)
    probabilities_NK = torch.from_numpy(logits_NK).double().softmax(1).numpy()
    assert measured.log_loss == pytest.approx(
        oracle.log_loss(labels_N, probabilities_NK, labels=range(num_classes)), rel=1e-5
    )
    confusion_KK = oracle.confusion_matrix(labels_N, predicted_N, labels=range(num_classes))
    assert measured.confusion == tuple(map(tuple, confusion_KK.tolist()))
    recall_K = oracle.recall_score(
        labels_N, predicted_N, labels=range(num_classes), average=None, zero_division=np.nan
    )
    precision_K = oracle.precision_score(
        labels_N, predicted_N, labels=range(num_classes), average=None, zero_division=np.nan
    )
    assert measured.worst_class_recall == pytest.approx(np.nanmin(recall_K))
    for ours, theirs in ((measured.recall_by_class, recall_K), (measured.precision_by_class, precision_K)):
        assert [math.nan if value is None else value for value in ours] == pytest.approx(
            theirs.tolist(), nan_ok=True
        )


def test_probabilities_give_the_metrics_of_their_logits():
    logits_NK, labels_N = torch.randn(50, 4), torch.randint(4, (50,))
    by_logits, by_probabilities = (
        metrics_of_logits(logits_NK, labels_N),
        metrics_of(logits_NK.softmax(1).numpy(), labels_N.numpy()),
    )
    assert by_probabilities.log_loss == pytest.approx(by_logits.log_loss, rel=1e-5)
    assert dataclasses.replace(by_probabilities, log_loss=0) == dataclasses.replace(by_logits, log_loss=0)


def test_a_probability_of_0_gives_a_finite_log_loss():
    assert 80 < metrics_of(np.array([[1.0, 0.0]], np.float32), np.array([1])).log_loss < 100


def test_no_images_have_no_metrics():
    with pytest.raises(ValueError, match="at least one image"):
        Metrics.from_counts(np.zeros((3, 3)), 0.0)


def test_every_metric_to_optimise_is_a_number_of_metrics():
    measured = Metrics.from_counts([[3, 1], [0, 2]], 1.5)
    assert all(isinstance(getattr(measured, name), float) for name in METRICS)
    assert [name for name, direction in METRICS.items() if direction == "minimise"] == ["log_loss"]


def test_metrics_are_json():
    measured = Metrics.from_counts([[3, 1, 0], [0, 2, 0], [0, 0, 0]], 1.5)
    assert json.loads(json.dumps(dataclasses.asdict(measured), allow_nan=False))["recall_by_class"] == [
        0.75,
        1.0,
        None,
    ]
