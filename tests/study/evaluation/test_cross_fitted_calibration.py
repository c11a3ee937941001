"""What a temperature does for the images that it was fitted to is told by halves, as they flatter it."""

import numpy as np
from numpy.typing import NDArray

from study.evaluation.scoring import calibration_of


def made(num: int, scale: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities whose logits are `scale` times what the labels were drawn with."""
    source = np.random.default_rng(seed)
    logits_NK = 2 * source.normal(size=(num, 4))
    labels_N = (logits_NK + source.gumbel(size=logits_NK.shape)).argmax(1)
    unlikely_NK = np.exp(scale * logits_NK)
    return (unlikely_NK / unlikely_NK.sum(1, keepdims=True)).astype(np.float32), labels_N


def test_halves_show_what_a_temperature_does_on_other_images() -> None:
    test, validation = made(4000, 2.0, 0), made(4000, 2.0, 1)
    found = calibration_of(*test, *validation, temperature=1.0)
    assert found.validation_by_halves is not None
    before, after = found.validation_by_halves
    assert 1.9 < found.temperature < 2.1
    assert after.log_loss < before.log_loss - 0.1
    assert abs(after.log_loss - found.after.log_loss) < 0.05
    assert after.ece < 0.03 < before.ece


def test_halves_do_not_see_themselves() -> None:
    """At the true temperature of 1 another one is luck, which is lost in the other half."""
    is_worse = []
    for seed in range(20):
        probabilities_NK, labels_N = made(20, 1.0, seed)
        found = calibration_of(
            probabilities_NK, labels_N, probabilities_NK, labels_N, temperature=1.0
        ).validation_by_halves
        assert found is not None
        is_worse.append(found[1].log_loss > found[0].log_loss)
    assert 5 < sum(is_worse) <= 20


def test_one_image_has_no_halves() -> None:
    one = made(1, 1.0, 0)
    assert calibration_of(*one, *one, temperature=1.0).validation_by_halves is None
