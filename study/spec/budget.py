"""What a study may spend."""

from pydantic import Field

from study.spec.written import Written


class Budget(Written):
    """What the study may spend."""

    trials: int = Field(20, ge=1, le=1_000_000)
    epochs: int = Field(10, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early."""
    hours: float | None = Field(None, gt=0)
    """Wall-clock limit of the search; trials that run when it ends are stopped."""
