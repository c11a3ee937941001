import warnings

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from trainables.recipe.phase import Phase
from trainables.training.schedules import factor, has_stalled, learning_rate

FALLING = ["constant", "step", "cosine", "linear", "wsd", "plateau"]
phases = st.builds(
    Phase,
    epochs=st.integers(1, 20),
    learning_rate=st.floats(1e-6, 1),
    schedule=st.sampled_from(FALLING),
    warmup_fraction=st.floats(0, 0.99),
    final_ratio=st.floats(0, 1),
    decay_fraction=st.floats(0.01, 1),
    step_epochs=st.integers(1, 5),
    step_factor=st.floats(0.01, 1),
    plateau_epochs=st.integers(1, 3),
)
accuracies = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=20)


def torchs_rates(make_scheduler, num_steps, rate=0.3):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler, rates = make_scheduler(optimizer), []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR passes an epoch to those it holds
            scheduler.step()
    return rates


def our_rates(phase, steps_per_epoch):
    return [learning_rate(phase, step, steps_per_epoch) for step in range(phase.epochs * steps_per_epoch)]


@given(phases, st.integers(1, 30))
def test_the_rate_rises_over_the_warmup_and_never_after(phase, steps_per_epoch):
    num_steps = phase.epochs * steps_per_epoch
    num_warmup = round(phase.warmup_fraction * num_steps)
    factors = [
        factor(phase, step, steps_per_epoch, [0.5] * (step // steps_per_epoch)) for step in range(num_steps)
    ]
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


def test_step_is_torchs():
    phase = Phase(epochs=7, learning_rate=0.3, schedule="step", step_epochs=3, step_factor=0.5)
    assert our_rates(phase, 1) == pytest.approx(
        torchs_rates(lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5), 7)
    )


def test_warmup_is_linear_and_begins_above_0():
    phase = Phase(epochs=1, learning_rate=1.0, schedule="constant", warmup_fraction=0.4)
    assert [factor(phase, step, 10) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize("final_ratio", [0.0, 0.1, 1.0])
def test_cosine_and_linear_are_torchs(final_ratio):
    def torchs(schedule, optimizer):
        if schedule == "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, 15, eta_min=final_ratio * 0.3)
        return lr_scheduler.LinearLR(optimizer, 1.0, final_ratio, total_iters=15)

    for schedule in ("cosine", "linear"):
        phase = Phase(epochs=5, learning_rate=0.3, schedule=schedule, final_ratio=final_ratio)
        assert our_rates(phase, 3) == pytest.approx(
            torchs_rates(lambda o, name=schedule: torchs(name, o), 15)
        )


def test_cosine_after_a_warmup_is_torchs_sequence():
    def torchs(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 1 / 4, 1.0, total_iters=3)
        return lr_scheduler.SequentialLR(
            optimizer, [rise, lr_scheduler.CosineAnnealingLR(optimizer, 16, eta_min=0.03)], [4]
        )

    phase = Phase(epochs=4, learning_rate=0.3, schedule="cosine", final_ratio=0.1, warmup_fraction=0.2)
    assert our_rates(phase, 5) == pytest.approx(torchs_rates(torchs, 20))


def test_wsd_is_torchs_sequence_of_constant_and_linear():
    def torchs(optimizer):
        stable = lr_scheduler.ConstantLR(optimizer, 1.0, total_iters=1)
        return lr_scheduler.SequentialLR(
            optimizer, [stable, lr_scheduler.LinearLR(optimizer, 1.0, 0.2, total_iters=6)], [14]
        )

    phase = Phase(epochs=4, learning_rate=0.3, schedule="wsd", final_ratio=0.2, decay_fraction=0.3)
    assert our_rates(phase, 5) == pytest.approx(torchs_rates(torchs, 20))


def test_wsd_falls_only_after_a_warmup_that_reaches_into_its_decay():
    phase = Phase(epochs=1, learning_rate=1.0, schedule="wsd", warmup_fraction=0.5, decay_fraction=1.0)
    assert our_rates(phase, 8) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25])


@given(st.integers(2, 40), st.sampled_from([0.0, 0.25, 0.3, 0.45, 0.9]))
@settings(max_examples=30)
def test_one_cycle_is_torchs(num_steps, warmup_fraction):
    share = warmup_fraction or 0.3
    assume(share * num_steps != 1)  # torch divides by zero: see below
    expected = torchs_rates(
        lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=num_steps, pct_start=share), num_steps - 1
    )
    phase = Phase(epochs=1, learning_rate=0.3, schedule="one_cycle", warmup_fraction=warmup_fraction)
    assert our_rates(phase, num_steps)[:-1] == pytest.approx(expected)
    assert our_rates(phase, num_steps)[-1] == pytest.approx(0.3 / 25 / 1e4)


def test_one_cycle_of_very_few_steps_is_finite():
    rates = our_rates(Phase(epochs=2, learning_rate=1.0, schedule="one_cycle", warmup_fraction=0.25), 2)
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert 0 < our_rates(Phase(epochs=1, learning_rate=1.0, schedule="one_cycle"), 1)[0] < 1


@given(accuracies, st.integers(1, 4))
@settings(max_examples=60)
def test_plateau_is_torchs(measured, plateau_epochs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    torchs = lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.5, patience=plateau_epochs - 1, threshold=0, eps=0
    )
    phase = Phase(
        epochs=21, learning_rate=0.3, schedule="plateau", step_factor=0.5, plateau_epochs=plateau_epochs
    )
    for num_done in range(len(measured) + 1):
        assert learning_rate(phase, num_done * 3 + 1, 3, measured[:num_done]) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        if num_done < len(measured):
            torchs.step(measured[num_done])


def test_plateau_falls_after_as_many_epochs_as_it_says_and_counts_anew():
    phase = Phase(epochs=9, learning_rate=1.0, schedule="plateau", step_factor=0.1, plateau_epochs=2)
    measured = [0.5, 0.4, 0.5, 0.4, 0.3, 0.6, 0.6, 0.6]
    rates = [learning_rate(phase, epoch, 1, measured[:epoch]) for epoch in range(9)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])


@given(accuracies, st.integers(1, 5))
def test_an_accuracy_has_stalled_once_its_best_is_patience_epochs_old(measured, patience):
    first_best = measured.index(max(measured)) if measured else 0
    assert has_stalled(measured, patience) == (bool(measured) and len(measured) - 1 - first_best >= patience)
    assert not has_stalled(measured, None)
