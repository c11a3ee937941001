"""The learning rate over a phase, and when accuracy has stopped rising."""

import math
from collections.abc import Sequence
from typing import assert_never

from trainables.recipe.phase import Phase

ONE_CYCLE_RISE = 0.3
"""Share of the steps on the way up where the phase names no warm-up; this and the next two are `OneCycleLR`'s
defaults."""
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1 / 25 / 1e4


def learning_rate(phase: Phase, step: int, steps_per_epoch: int, accuracies: Sequence[float] = ()) -> float:
    """The learning rate of step `step` of the phase, counted from 0; the rest as `factor` has it."""
    return phase.learning_rate * factor(phase, step, steps_per_epoch, accuracies)


def factor(phase: Phase, step: int, steps_per_epoch: int, accuracies: Sequence[float] = ()) -> float:
    """What the phase's learning rate is multiplied by at `step`, in [0, 1].

    It rises linearly over the warmup and reaches 1 at its last step. After it: `cosine` falls along half a
    cosine (arXiv:1608.03983), `linear` along a line, and `wsd` along a line over its last `decay_fraction`;
    all three would reach `final_ratio` one step after the phase. `step` falls by `step_factor` every
    `step_epochs` epochs of the phase; `plateau` after every `plateau_epochs` epochs without a better
    validation accuracy, as ReduceLROnPlateau does: `accuracies` are those of the phase's epochs done so far,
    which no other schedule looks at. `one_cycle` (arXiv:1708.07120) is OneCycleLR: its warmup is half a
    cosine from 1/25, and it ends near 0.
    """
    num_steps = phase.epochs * steps_per_epoch
    num_warmup = round(phase.warmup_fraction * num_steps)
    if phase.schedule != "one_cycle" and step < num_warmup:
        return (step + 1) / num_warmup
    match phase.schedule:
        case "one_cycle":
            return _one_cycle(step, num_steps, phase.warmup_fraction or ONE_CYCLE_RISE)
        case "cosine":
            fall = 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / max(num_steps - num_warmup, 1)))
            return phase.final_ratio + (1 - phase.final_ratio) * fall
        case "linear":
            return 1 - (1 - phase.final_ratio) * _passed(step, num_warmup, num_steps)
        case "wsd":
            num_stable = max(num_steps - round(phase.decay_fraction * num_steps), num_warmup)
            return 1 - (1 - phase.final_ratio) * _passed(step, num_stable, num_steps)
        case "step":
            return phase.step_factor ** (step // steps_per_epoch // phase.step_epochs)
        case "plateau":
            return phase.step_factor ** _num_falls(accuracies, phase.plateau_epochs)
        case "constant":
            return 1.0
        case _:
            assert_never(phase.schedule)


def has_stalled(accuracies: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no better accuracy than those before them; with None, or too
    few epochs, never.
    """
    if patience is None or len(accuracies) <= patience:
        return False
    return max(accuracies[-patience:]) <= max(accuracies[:-patience])


def _passed(step: int, begin: int, end: int) -> float:
    """Share of the steps from `begin` to `end` that lie before `step`."""
    return max(step - begin, 0) / max(end - begin, 1)


def _one_cycle(step: int, num_steps: int, rise_fraction: float) -> float:
    # Not a whole step, and below 0 where a phase has very few: torch has it so.
    peak = rise_fraction * num_steps - 1
    if step <= peak:
        return _along_cosine(ONE_CYCLE_START, 1.0, step / peak if peak else 1.0)
    return _along_cosine(1.0, ONE_CYCLE_END, (step - peak) / (num_steps - 1 - peak))


def _along_cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * share))


def _num_falls(accuracies: Sequence[float], plateau_epochs: int) -> int:
    """How often `plateau_epochs` epochs in a row, counted anew after each fall, brought no accuracy above the
    best before.
    """
    best, num_without, num_falls = -math.inf, 0, 0
    for accuracy in accuracies:
        num_without = 0 if accuracy > best else num_without + 1
        best = max(best, accuracy)
        if num_without == plateau_epochs:
            num_without, num_falls = 0, num_falls + 1
    return num_falls
