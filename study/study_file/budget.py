"""What a study may spend: on its search, and on training the best configurations again."""

from pydantic import Field

from study.errors import SpecError
from study.stopping.early_stopping import EarlyStopping, rules_other_than
from study.written import Written


class Budget(Written):
    """What a study may spend; it ends with the first of these that is spent."""

    trials: int = Field(20, ge=1, le=1_000_000)
    """Trials of the search; under `early_stopping: pbt`, the size of the population."""
    epochs: int = Field(10, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early."""
    hours: float | None = Field(None, ge=0.001, le=100_000, examples=[6])
    """Wall-clock limit of the search, in hours; trials that run when it is reached are stopped."""
    gpu_hours: float | None = Field(None, ge=0.001, le=100_000_000, examples=[24])
    """Limit on the GPU-hours of all trials together: the hours that each trial trains and validates, times
    its GPUs."""
    total_epochs: int | None = Field(None, ge=1, le=10**11, examples=[300])
    """Limit on the epochs of all trials together."""
    target: float | None = Field(None, ge=-1e6, le=1e6, examples=[0.7])
    """A value of the objective that is good enough: the study ends once a complete trial reaches it."""
    no_improvement: int | None = Field(None, ge=1, le=1_000_000, examples=[15])
    """The study ends after this many trials in a row without a better one."""
    minimum_gain: float | None = Field(None, ge=1e-9, le=1e6, examples=[0.005])
    """The search is over once the next trial is expected to gain less than this of the objective for each
    hour that it trains and validates: 0.005 is half a percentage point of an accuracy. It takes ten trials or
    more to tell."""


class Confirm(Written):
    """After the search, the best configurations are trained again and chosen by the mean over seeds.

    The trainings come in addition to the budget: neither `trials` nor `hours` nor `gpu_hours` counts them.
    """

    top: int = Field(3, ge=1, le=100)
    """How many configurations are trained again: the best complete ones by the first objective."""
    seeds: int = Field(3, ge=2, le=100)
    """Trainings of each configuration, all epochs long, each with a seed of its own; one alone would say
    nothing of the noise."""


def check_confirmable(confirm: Confirm, budget: Budget, early_stopping: EarlyStopping) -> None:
    """Raises SpecError where the search has too few trials, or none that can be trained again."""
    if confirm.top > budget.trials:
        raise SpecError(
            f"confirm.top is {confirm.top} but budget.trials is {budget.trials}; lower it, or let the search "
            "try more",
            key="confirm.top",
        )
    if early_stopping.rule == "pbt":
        raise SpecError(
            "confirm cannot follow early_stopping 'pbt': its trials go on from others' checkpoints with "
            "changed values, "
            "so no configuration alone trains them again; leave confirm away, or choose "
            f"{rules_other_than('pbt')}",
            key="confirm",
        )
