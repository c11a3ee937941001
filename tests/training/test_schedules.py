import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.recipe.phase import Phase
from trainables.schedules import factor, learning_rate

phases = st.builds(
    Phase,
    epochs=st.integers(1, 20),
    learning_rate=st.floats(1e-6, 1),
    schedule=st.sampled_from(["constant", "step", "cosine"]),
    warmup_fraction=st.floats(0, 0.99),
    step_epochs=st.integers(1, 5),
    step_factor=st.floats(0.01, 1),
)


@given(phases, st.integers(1, 30))
def test_the_rate_rises_over_the_warmup_and_never_after(phase, steps_per_epoch):
    num_steps = phase.epochs * steps_per_epoch
    num_warmup = round(phase.warmup_fraction * num_steps)
    factors = [factor(phase, step, steps_per_epoch) for step in range(num_steps)]
    assert all(0 <= value <= 1 for value in factors)
    assert factors[:num_warmup] == sorted(factors[:num_warmup])
    assert factors[num_warmup:] == sorted(factors[num_warmup:], reverse=True)


def test_cosine_begins_at_the_peak_halves_in_the_middle_and_ends_near_0():
    phase = Phase(epochs=10, learning_rate=0.5)
    assert learning_rate(phase, 0, 10) == 0.5
    assert learning_rate(phase, 50, 10) == pytest.approx(0.25)
    assert learning_rate(phase, 99, 10) < 0.001


def test_step_falls_every_few_epochs():
    phase = Phase(epochs=6, learning_rate=1.0, schedule="step", step_epochs=2, step_factor=0.1)
    assert [factor(phase, epoch * 7, 7) for epoch in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warmup_is_linear_and_begins_above_0():
    phase = Phase(epochs=1, learning_rate=1.0, schedule="constant", warmup_fraction=0.4)
    assert [factor(phase, step, 10) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
