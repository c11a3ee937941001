"""The learning rate over a phase."""

import math

from trainables.recipe.phase import Phase


def learning_rate(phase: Phase, step: int, steps_per_epoch: int) -> float:
    """The learning rate of step `step` of the phase, counted from 0."""
    return phase.learning_rate * factor(phase, step, steps_per_epoch)


def factor(phase: Phase, step: int, steps_per_epoch: int) -> float:
    """What the phase's learning rate is multiplied by at `step`, in [0, 1].

    It rises linearly over the warmup and reaches 1 at its last step. After it: `cosine` falls along half a cosine and would
    reach 0 one step after the phase (arXiv:1608.03983); `step` falls by `step_factor` every `step_epochs` epochs of the phase.
    """
    num_steps = phase.epochs * steps_per_epoch
    num_warmup = round(phase.warmup_fraction * num_steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if phase.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / max(num_steps - num_warmup, 1)))
    if phase.schedule == "step":
        return phase.step_factor ** (step // steps_per_epoch // phase.step_epochs)
    return 1.0
