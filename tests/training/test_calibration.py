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

    def log_loss(log_temperature):
        logs_NK = log_softmax(logits_NK.double().numpy() / np.exp(log_temperature), 1)
        return -logs_NK[np.arange(len(labels_N)), labels_N].mean()

    found = minimize_scalar(
        log_loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-9}
    )
    assert fitted_temperature(logits_NK, labels_N) == pytest.approx(np.exp(found.x), rel=1e-4)


def test_temperature_recovers_what_labels_were_drawn_with():
    generator = torch.Generator().manual_seed(0)
    logits_NK = 4 * torch.randn(20_000, 3, generator=generator)
    labels_N = torch.multinomial((logits_NK / 2.5).softmax(1), 1, generator=generator)[:, 0]
    assert fitted_temperature(logits_NK, labels_N) == pytest.approx(2.5, abs=0.1)


def test_temperature_ends_at_its_bounds():
    logits_NK, labels_N = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
    assert fitted_temperature(logits_NK, labels_N) == pytest.approx(0.05)
    assert fitted_temperature(logits_NK, 1 - labels_N) == pytest.approx(20)
    assert is_at_bound(fitted_temperature(logits_NK, labels_N))
    assert is_at_bound(fitted_temperature(logits_NK, 1 - labels_N))
    assert not is_at_bound(1.0)


def test_logits_that_say_nothing_keep_temperature_1():
    assert fitted_temperature(torch.full((4, 3), 0.7), torch.tensor([0, 1, 2, 2])) == 1
