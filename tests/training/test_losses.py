import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight
from timm.loss import SoftTargetCrossEntropy
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from trainables.errors import RecipeError
from trainables.recipe.loss import Loss
from trainables.training.class_weights import class_weights
from trainables.training.loss_functions import build_loss

CPU = torch.device("cpu")
FER2013 = {
    "angry": 3995,
    "disgust": 436,
    "fear": 4097,
    "happy": 7215,
    "neutral": 4965,
    "sad": 4830,
    "surprise": 3171,
}
KINDS = ("cross_entropy", "focal", "ldam", "logit_adjusted")
COUNTS = (50, 5, 20)


def batch(num_images=12, num_classes=3):
    generator = torch.Generator().manual_seed(1)
    logits_BK = 2 * torch.randn(num_images, num_classes, generator=generator)
    return logits_BK, torch.arange(num_images) % num_classes, torch.rand(num_images, generator=generator)


def loss_of(loss, counts=COUNTS):
    return build_loss(loss, [f"class{i}" for i in range(len(counts))], counts, CPU)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_power_1_is_scikit_learns_balanced(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(Loss(class_weight_power=1.0), [str(i) for i in range(len(counts))], counts)
    np.testing.assert_allclose(
        weights, compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    )


def test_weights_of_fer2013_are_the_published_ones():
    weights = class_weights(Loss(class_weight_power=1.0), list(FER2013), list(FER2013.values()))
    assert [round(weight, 4) for weight in weights] == [
        1.0266,
        9.4066,
        1.0010,
        0.5684,
        0.8260,
        0.8491,
        1.2934,
    ]


def test_power_and_cap_soften_the_weights():
    classes, counts = ["many", "few"], [90, 10]
    assert class_weights(Loss(), classes, counts) is None
    assert class_weights(Loss(class_weight_power=0.5), classes, counts) == pytest.approx(
        (np.sqrt(100 / 180), np.sqrt(100 / 20))
    )
    assert class_weights(
        Loss(class_weight_power=1.0, class_weight_cap=2.0), classes, counts
    ) == pytest.approx((100 / 180, 2.0))
    assert max(class_weights(Loss(effective_beta=0.999, class_weight_cap=1.2), classes, counts)) == 1.2


@given(
    st.lists(st.integers(1, 8000), min_size=2, max_size=8), st.sampled_from([0.0, 0.5, 0.9, 0.999, 0.9999])
)
@settings(max_examples=30, deadline=None)
def test_effective_weights_are_those_of_the_geometric_series(counts, beta):
    effective = np.array(
        [np.sum(beta ** np.arange(num)) for num in counts]
    )  # as the paper derives it: 1 + beta + beta**2 + ...
    expected = len(counts) / effective / np.sum(1 / effective)
    np.testing.assert_allclose(
        class_weights(Loss(effective_beta=beta), [str(i) for i in range(len(counts))], counts),
        expected,
        rtol=1e-8,
    )


def test_a_class_without_images_weighs_1_and_leaves_the_others_alone():
    assert class_weights(Loss(class_weight_power=1.0), ["a", "b"], [4, 0]) == (0.5, 1.0)
    without = class_weights(Loss(effective_beta=0.99), ["a", "b"], [40, 7])
    assert class_weights(Loss(effective_beta=0.99), ["a", "none", "b"], [40, 0, 7]) == pytest.approx(
        (without[0], 1.0, without[1])
    )


def test_a_table_is_put_into_the_order_of_the_classes():
    assert class_weights(Loss(class_weights={"b": 2.0, "a": 1.0}), ["a", "b"], [1, 1]) == (1.0, 2.0)


def test_a_table_must_name_exactly_the_classes():
    with pytest.raises(RecipeError, match="lacks 'b'; classes: a, b"):
        class_weights(Loss(class_weights={"a": 1.0}), ["a", "b"], [1, 1])
    with pytest.raises(RecipeError, match="names 'c', which is no class"):
        build_loss(Loss(class_weights={"a": 1.0, "b": 1.0, "c": 1.0}), ["a", "b"], [1, 1], CPU)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_cross_entropy_is_torchs_weighted_and_smoothed(smoothing, power):
    logits_BK, labels_B, _ = batch()
    weights = (
        compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), COUNTS))
        if power
        else np.ones(3)
    )
    expected = functional.cross_entropy(
        logits_BK, labels_B, torch.tensor(weights, dtype=torch.float32), label_smoothing=smoothing
    )
    measured = loss_of(Loss(label_smoothing=smoothing, class_weight_power=power))(
        logits_BK, labels_B, progress=0.0
    )
    torch.testing.assert_close(measured, expected)


def test_focal_loss_of_two_classes_is_torchvisions_sigmoid_focal_loss():
    logits_BK, labels_B, _ = batch(num_classes=2)
    for gamma in (0.0, 0.5, 2.0, 5.0):
        expected = sigmoid_focal_loss(
            logits_BK[:, 1] - logits_BK[:, 0], labels_B.float(), alpha=-1, gamma=gamma, reduction="mean"
        )
        torch.testing.assert_close(
            loss_of(Loss(kind="focal", focal_gamma=gamma), (8, 3))(logits_BK, labels_B, progress=0.0),
            expected,
        )


def test_focal_loss_of_many_classes_is_the_published_formula():
    logits_BK, labels_B, _ = batch()
    probabilities_B = np.exp(log_softmax(logits_BK.double().numpy(), 1))[np.arange(12), labels_B]
    weights_B = np.array(class_weights(Loss(class_weight_power=0.5), ["", "", ""], COUNTS))[labels_B]
    expected = np.average((1 - probabilities_B) ** 1.5 * -np.log(probabilities_B), weights=weights_B)
    measured = loss_of(Loss(kind="focal", focal_gamma=1.5, class_weight_power=0.5))(
        logits_BK, labels_B, progress=0.0
    )
    assert measured.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.001, 0.5, 1.0, 2.0])
def test_focal_loss_of_a_certain_image_has_a_finite_gradient(gamma):
    logits_BK = torch.tensor([[100.0, 0.0], [0.0, 100.0], [17.0, 0.0]], requires_grad=True)
    loss_of(Loss(kind="focal", focal_gamma=gamma), (1, 1))(
        logits_BK, torch.tensor([0, 0, 0]), progress=0.0
    ).backward()
    assert logits_BK.grad.isfinite().all()


def test_ldam_is_the_published_code():
    logits_BK, labels_B, _ = batch()
    margins_K = 1.0 / np.sqrt(np.sqrt(COUNTS))  # github.com/kaidic/LDAM-DRW, losses.py
    margins_K = margins_K * (0.4 / np.max(margins_K))
    lowered_BK = logits_BK.double().numpy().copy()
    for image, label in enumerate(labels_B):
        lowered_BK[image, label] -= margins_K[label]
    weights_B = np.array(class_weights(Loss(effective_beta=0.99), ["", "", ""], COUNTS))[labels_B]
    expected = np.average(-log_softmax(10 * lowered_BK, 1)[np.arange(12), labels_B], weights=weights_B)
    measured = loss_of(Loss(kind="ldam", ldam_margin=0.4, ldam_scale=10.0, effective_beta=0.99))(
        logits_BK, labels_B, progress=0.0
    )
    assert measured.item() == pytest.approx(expected, rel=1e-5)


def test_logit_adjustment_is_the_pairwise_margin_of_the_paper():
    logits_BK, labels_B, _ = batch()
    priors_K, logits = np.array(COUNTS) / sum(COUNTS), logits_BK.double().numpy()
    # Equation 11: log(1 + sum over others of (prior of it / prior of the label) ** tau * exp(their
    # difference)).
    terms = [
        np.log1p(sum((priors_K[c] / priors_K[y]) ** 1.3 * np.exp(z[c] - z[y]) for c in range(3) if c != y))
        for z, y in zip(logits, labels_B.tolist(), strict=True)
    ]
    measured = loss_of(Loss(kind="logit_adjusted", adjustment=1.3))(logits_BK, labels_B, progress=0.0)
    assert measured.item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_focal_and_adjusted_loss_without_their_parameter_are_cross_entropy():
    logits_BK, labels_B, _ = batch()
    expected = functional.cross_entropy(logits_BK, labels_B)
    for loss in (Loss(kind="focal", focal_gamma=0.0), Loss(kind="logit_adjusted", adjustment=0.0)):
        torch.testing.assert_close(loss_of(loss)(logits_BK, labels_B, progress=0.0), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_images_keeps_every_loss_finite(kind):
    logits_BK, labels_B, _ = batch(num_classes=2)
    logits_BK = functional.pad(logits_BK, (0, 1)).requires_grad_()
    loss = loss_of(Loss(kind=kind, class_weight_power=1.0), (9, 2, 0))(logits_BK, labels_B, progress=0.0)
    loss.backward()
    assert loss.isfinite()
    assert logits_BK.grad.isfinite().all()


def test_dividing_by_images_is_keras_and_not_torch():
    logits_BK, labels_B, _ = batch(8)  # 3, 3 and 2 images of the classes: weights do not average 1
    weights = np.array(class_weights(Loss(class_weight_power=1.0), ["", "", ""], COUNTS))
    one_hot_BK = np.eye(3)[labels_B]
    keras = -np.sum(one_hot_BK * log_softmax(logits_BK.double().numpy(), 1) * weights) / len(labels_B)
    by_images = loss_of(Loss(class_weight_power=1.0, weight_normalisation="images"))(
        logits_BK, labels_B, progress=0.0
    )
    by_weights = loss_of(Loss(class_weight_power=1.0))(logits_BK, labels_B, progress=0.0)
    assert by_images.item() == pytest.approx(keras, rel=1e-5)
    assert by_images.item() == pytest.approx(by_weights.item() * weights[labels_B].mean(), rel=1e-5)
    assert abs(by_images.item() - by_weights.item()) > 0.1


@pytest.mark.parametrize("normalisation", ["weights", "images"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_from_the_share_of_epochs_they_are_deferred_to(kind, normalisation):
    logits_BK, labels_B, _ = batch(8)
    deferred = loss_of(
        Loss(kind=kind, class_weight_power=1.0, weights_from=0.8, weight_normalisation=normalisation)
    )
    weighted = loss_of(Loss(kind=kind, class_weight_power=1.0, weight_normalisation=normalisation))
    before, after = (loss(logits_BK, labels_B, progress=0.0) for loss in (loss_of(Loss(kind=kind)), weighted))
    assert before != after
    measured = [deferred(logits_BK, labels_B, progress=epoch / 10) for epoch in range(10)]
    assert measured == [before] * 8 + [after] * 2


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_mixing_is_cross_entropy_with_soft_targets(smoothing):
    logits_BK, labels_B, share_B = batch()
    others_B = labels_B.flip(0)
    hard_BK, other_BK = (functional.one_hot(chosen_B, 3).float() for chosen_B in (labels_B, others_B))
    soft_BK = (1 - smoothing) * (
        share_B[:, None] * hard_BK + (1 - share_B[:, None]) * other_BK
    ) + smoothing / 3
    measured = loss_of(Loss(label_smoothing=smoothing))(
        logits_BK, labels_B, progress=0.0, others_B=others_B, share_B=share_B
    )
    torch.testing.assert_close(measured, SoftTargetCrossEntropy()(logits_BK, soft_BK))


@pytest.mark.parametrize("normalisation", ["weights", "images"])
def test_mixing_mixes_losses_and_weights_alike(normalisation):
    logits_BK, labels_B, share_B = batch(8)
    others_B, weights = (
        labels_B.flip(0),
        np.array(class_weights(Loss(class_weight_power=1.0), ["", "", ""], COUNTS)),
    )
    losses, parts = -log_softmax(logits_BK.double().numpy(), 1), []
    for image, (share, a, b) in enumerate(zip(share_B.tolist(), labels_B, others_B, strict=True)):
        parts += [(share * weights[a], losses[image, a]), ((1 - share) * weights[b], losses[image, b])]
    total = sum(weight * loss for weight, loss in parts)
    expected = total / (sum(weight for weight, _ in parts) if normalisation == "weights" else 8)
    loss = loss_of(Loss(class_weight_power=1.0, weight_normalisation=normalisation))
    assert loss(
        logits_BK, labels_B, progress=0.0, others_B=others_B, share_B=share_B
    ).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_mixing_with_share_1_is_no_mixing(kind):
    logits_BK, labels_B, _ = batch(8)
    loss = loss_of(Loss(kind=kind, class_weight_power=1.0))
    mixed = loss(logits_BK, labels_B, progress=0.0, others_B=labels_B.flip(0), share_B=torch.ones(8))
    assert mixed == loss(logits_BK, labels_B, progress=0.0)
    swapped = loss(logits_BK, labels_B.flip(0), progress=0.0, others_B=labels_B, share_B=torch.zeros(8))
    torch.testing.assert_close(swapped, mixed)


@pytest.mark.parametrize("kind", KINDS)
def test_no_loss_reads_a_value_from_the_device(kind):
    meta = torch.device("meta")  # where reading a value raises, as it would make a GPU wait
    logits_BK, labels_B, share_B = (tensor.to(meta) for tensor in batch(8))
    loss = build_loss(Loss(kind=kind, class_weight_power=1.0), ["a", "b", "c"], COUNTS, meta)
    logits_BK.requires_grad_()
    loss(logits_BK, labels_B, progress=0.0, others_B=labels_B.flip(0), share_B=share_B).backward()
    assert logits_BK.grad.is_meta
