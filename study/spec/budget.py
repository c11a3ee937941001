"""What a study may spend."""

from pydantic import Field

from study.spec.written import Written


class Budget(Written):
    """What a study may spend; it ends with the first of these that is spent."""

    trials: int = Field(20, ge=1, le=1_000_000)
    epochs: int = Field(10, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early."""
    hours: float | None = Field(None, gt=0)
    """Wall-clock limit of the search; trials that run when it ends are stopped."""
    gpu_hours: float | None = Field(None, gt=0)
    """Of training and validating, all trials together, times the GPUs of each."""
    total_epochs: int | None = Field(None, ge=1)
    """Of all trials together."""
    target: float | None = None
    """A value of the objective that is good enough: once a complete trial has it, the study ends."""
    no_improvement: int | None = Field(None, ge=1)
    """Trials in a row without a better one, after which the study ends."""
