"""Which of a study's configurations are trained again before one of them is chosen."""

from pydantic import Field

from study.errors import SpecError
from study.spec.budget import Budget
from study.spec.early_stopping import EarlyStopping
from study.spec.written import Written


class Confirm(Written):
    """After the search, the best configurations by validation are trained again, and chosen by the mean over these trainings.

    The trainings come in addition to the budget: neither `trials` nor `hours` nor `gpu_hours` counts them.
    """

    top: int = Field(3, ge=1, le=100)
    """Configurations, the best first, by the first objective."""
    seeds: int = Field(3, ge=2, le=100)
    """Trainings of each, all epochs long, each with a seed of its own; one alone would say nothing of the noise."""


def check_confirmable(confirm: Confirm, budget: Budget, early_stopping: EarlyStopping) -> None:
    """Raises SpecError where there is less to confirm than asked, or nothing that could be trained again."""
    if confirm.top > budget.trials:
        raise SpecError(f"confirm.top is {confirm.top} but budget.trials is {budget.trials}; lower it, or let the search try more")
    if early_stopping.rule == "pbt":
        raise SpecError(
            "confirm cannot follow early_stopping 'pbt': its trials go on from others' checkpoints with changed values, "
            "so no configuration alone trains them again; leave confirm away, or choose asha, promotion, hyperband, median or none"
        )
