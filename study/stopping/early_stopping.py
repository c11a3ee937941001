"""Early stopping as a study file writes it, and the rules that it builds. Each rule stands in a file of its own, and is listed here."""

from typing import Any, Literal, assert_never

from pydantic import Field

from study.errors import SpecError
from study.stopping.asha import Asha
from study.stopping.asha_pause import AshaPause
from study.stopping.hyperband import Hyperband, most_brackets
from study.stopping.median import Median
from study.stopping.pbt import Pbt
from study.stopping.plateau import Plateau
from study.stopping.protected import Protected
from study.stopping.rule import Rule
from study.stopping.rule_set import RuleSet
from study.written import Written


class EarlyStopping(Written):
    """How trials are compared while they run. A trial whose objective is no number is stopped under every rule."""

    rule: Literal["asha", "asha_pause", "hyperband", "median", "pbt", "none"] = "asha"
    """`asha` stops at each rung all but the best share; `asha_pause` pauses all there and goes on with the best share (less spent
    where few run at a time); `hyperband` has brackets of `asha`, later ones with later first rungs; `median` stops what falls below it;
    `pbt` is population-based training: the budget's trials are the population."""
    first_rung: float = Field(0.2, gt=0, lt=1)
    """Share of its own epochs up to which a trial is not compared. In 300 studies of 40 trials, drawn from 200 curves of 20 epochs: 0.1
    saves 68 % of the epochs and loses the winner in 42 %, 0.2 saves 56 % and loses 23 %, 0.3 saves 45 % and loses 14 %."""
    reduction: int = Field(3, ge=2, le=16)
    """One trial in this many goes on; rungs grow by this factor. Not for `median`."""
    brackets: int | None = Field(None, ge=1)
    """Of `hyperband`; as many as there are rungs and one that stops nobody, unless given."""
    min_trials: int = Field(5, ge=1)
    """Of `median`: others that must have come as far."""
    interval: float = Field(0.2, gt=0, lt=1)
    """Of `pbt`: share of its own epochs after which a trial waits for all others, again and again."""
    quantile: float = Field(0.25, gt=0, le=0.5)
    """Of `pbt`: share of the population, rounded down, that gives its place at each interval to copies of as many of the best."""
    resample: float = Field(0.25, ge=0, le=1)
    """Of `pbt`: chance that a copy's value is drawn anew from its range, and not multiplied by 0.8 or 1.2."""
    protect_top: int = Field(3, ge=0)
    """So many trials with the best values of the study are never stopped: the first to come have few to be compared with."""
    plateau: int | None = Field(None, ge=1)
    """Epochs without a better value that end a trial; counted anew where it begins to train more than its head."""

    @property
    def pauses_trials(self) -> bool:
        """Whether trials wait with their checkpoints: then each epoch needs one."""
        return self.rule in ("asha_pause", "pbt")

    def model_post_init(self, _: Any) -> None:
        """Checks the brackets. Raises SpecError."""
        most = most_brackets(self.first_rung, self.reduction)
        if self.rule == "hyperband" and self.brackets is not None and self.brackets > most:
            raise SpecError(
                f"early_stopping.brackets must be at most {most} with first_rung {self.first_rung:g} and reduction {self.reduction}, "
                f"got {self.brackets}; lower it, or let the first rung begin earlier"
            )


def build_rules(settings: EarlyStopping, maximise: bool) -> RuleSet:
    """The rules of a study. Under `none` without a plateau, only a value that is no number stops a trial."""
    plateau: list[Rule] = [] if settings.plateau is None else [Plateau(settings.plateau)]
    return RuleSet([*plateau, *_rules(settings)], Protected(settings.protect_top), maximise=maximise)


def _rules(settings: EarlyStopping) -> list[Rule]:
    match settings.rule:
        case "none":
            return []
        case "asha":
            return [Asha(first_rung=settings.first_rung, reduction=settings.reduction)]
        case "asha_pause":
            return [AshaPause(first_rung=settings.first_rung, reduction=settings.reduction)]
        case "hyperband":
            brackets = settings.brackets or most_brackets(settings.first_rung, settings.reduction)
            return [Hyperband(first_rung=settings.first_rung, reduction=settings.reduction, brackets=brackets)]
        case "median":
            return [Median(grace=settings.first_rung, min_trials=settings.min_trials)]
        case "pbt":
            return [Pbt(interval=settings.interval, quantile=settings.quantile)]
        case never:
            assert_never(never)
