"""Checks of a study that uses population-based training."""

from study.errors import SpecError
from study.stopping.early_stopping import EarlyStopping
from study.stopping.pbt import interval_epochs, num_replaced
from study.study_file.budget import Budget
from study.study_file.sampler import Sampler


def check_population(stopping: EarlyStopping, budget: Budget, sampler: Sampler, num_objectives: int) -> None:
    """Raises SpecError where early stopping is by `pbt` and another setting contradicts it."""
    if stopping.rule != "pbt":
        return
    if num_objectives > 1:
        raise SpecError(
            f"early_stopping pbt copies the best by one objective, got {num_objectives}; keep one, or choose "
            "asha"
        )
    if not sampler.abilities.draws_populations:
        raise SpecError(
            "early_stopping pbt draws its whole population before a trial has ended, and then leaves what "
            "was drawn; sampler "
            f"{sampler.rule!r} can do nothing there: use quasi_random, random or tpe"
        )
    if budget.no_improvement is not None:
        raise SpecError(
            "budget.no_improvement counts trials that end one after another, and under early_stopping pbt "
            "all end together; drop it"
        )
    if budget.minimum_gain is not None:
        raise SpecError(
            "budget.minimum_gain asks what a trial gains that the sampler draws next, and early_stopping pbt "
            "draws none after its population; drop it"
        )
    _check_size(stopping, budget)


def _check_size(stopping: EarlyStopping, budget: Budget) -> None:
    if not num_replaced(budget.trials, stopping.quantile):
        raise SpecError(
            f"early_stopping pbt replaces {stopping.quantile:g} of budget.trials, which is less than one of "
            f"{budget.trials}; "
            "raise budget.trials or early_stopping.quantile"
        )
    if stopping.protect_top >= budget.trials:
        raise SpecError(
            f"early_stopping.protect_top {stopping.protect_top} of {budget.trials} trials leaves none that "
            "pbt may replace; "
            "lower it or raise budget.trials"
        )
    if not interval_epochs(stopping.interval, budget.epochs):
        raise SpecError(
            f"early_stopping.interval {stopping.interval:g} of {budget.epochs} epochs ends with the last "
            "one, so pbt has nothing to do; "
            "lower it or raise budget.epochs"
        )
