import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from trainables.metrics.temperature import fitted_temperature, is_at_bound


def predictions(seed, scale=3.0, num_images=60, num_classes=4):
    generator = np.random.default_rng(seed)
    labels_N = generator.integers(0, num_classes, num_images)
    logits_NK = generator.normal(0, 1, (num_images, num_classes)) + 1.5 * np.eye(num_classes)[labels_N]
    return torch.tensor(scale * logits_NK, dtype=torch.float32), torch.tensor(labels_N)


@given(st.integers(0, 1000), st.floats(0.3, 12))
@settings(max_examples=25)
def test_temperature_is_the_one_scipy_finds(seed, scale):
    logits_NK, labels_N = predictions(seed, scale)

    def unlikelihood(log_temperature):
        logs_NK = log_softmax(logits_NK.double().numpy() / np.exp(log_temperature), 1)
        prior = 4 * (np.exp(-log_temperature) + log_temperature)
        return prior - logs_NK[np.arange(len(labels_N)), labels_N].sum()

    found = minimize_scalar(
        unlikelihood, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-9}
    )
    assert fitted_temperature(logits_NK, labels_N) == pytest.approx(np.exp(found.x), rel=1e-4)


def test_temperature_recovers_what_labels_were_drawn_with():
    generator = torch.Generator().manual_seed(0)
    logits_NK = 4 * torch.randn(20_000, 3, generator=generator)
    labels_N = torch.multinomial((logits_NK / 2.5).softmax(1), 1, generator=generator)[:, 0]
    assert fitted_temperature(logits_NK, labels_N) == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("truth", [0.5, 2.0])
def test_a_few_errors_bring_temperature_near_what_labels_were_drawn_with(truth):
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        labels_N = torch.randint(10, (360,), generator=generator)
        logits_NK = torch.randn(360, 10, generator=generator) + 6 * torch.eye(10)[labels_N]
        labels_N = torch.multinomial(logits_NK.softmax(1), 1, generator=generator)[:, 0]
        assert 10 < (logits_NK.argmax(1) != labels_N).sum() < 20
        assert fitted_temperature(logits_NK * truth, labels_N) == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize("gap", [1.0, 4.0, 16.0])
def test_without_an_error_temperature_stays_near_1_where_log_loss_has_no_minimum(gap):
    """It fell to its bound of 0.05."""
    labels_N = torch.arange(300) % 10
    temperature = fitted_temperature(gap * torch.eye(10)[labels_N], labels_N)
    assert not is_at_bound(temperature)
    assert 0.1 < temperature <= 1
    assert (temperature > 0.99) == (gap > 10), "images that are sure already say nothing"


def test_temperature_ends_at_its_bound_where_many_are_sure_and_wrong():
    logits_NK, labels_N = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
    assert 0.8 < fitted_temperature(logits_NK, labels_N) < 1 < fitted_temperature(logits_NK, 1 - labels_N) < 2
    sure_NK = torch.tensor([[30.0, 0.0]]).repeat(100, 1)
    assert is_at_bound(fitted_temperature(sure_NK, torch.ones(100, dtype=torch.int64)))
    assert not is_at_bound(1.0)


def test_logits_that_say_nothing_keep_temperature_1():
    assert fitted_temperature(torch.full((4, 3), 0.7), torch.tensor([0, 1, 2, 2])) == 1
