"""From the study file's part on early stopping to the rule."""

from study.search.stopping.asha import Asha
from study.search.stopping.criterion import Criterion
from study.search.stopping.guard import Guard
from study.search.stopping.hyperband import Hyperband, most_brackets
from study.search.stopping.judge import Judge
from study.search.stopping.median import Median
from study.search.stopping.plateau import Plateau
from study.search.stopping.population import Population
from study.search.stopping.promotion import Promotion
from study.search.stopping.rule import StoppingRule
from study.spec.early_stopping import EarlyStopping


def build_rule(spec: EarlyStopping, maximise: bool) -> StoppingRule:
    """The rule of a study. With `none` and no plateau, nothing but a value that is no number stops a trial."""
    criteria: list[Criterion] = [] if spec.plateau is None else [Plateau(spec.plateau)]
    return Judge([*criteria, *_criteria(spec)], Guard(spec.guard_top), maximise=maximise)


def _criteria(spec: EarlyStopping) -> list[Criterion]:
    match spec.rule:
        case "none":
            return []
        case "asha":
            return [Asha(first_rung=spec.first_rung, reduction=spec.reduction)]
        case "promotion":
            return [Promotion(first_rung=spec.first_rung, reduction=spec.reduction)]
        case "hyperband":
            brackets = spec.brackets or most_brackets(spec.first_rung, spec.reduction)
            return [Hyperband(first_rung=spec.first_rung, reduction=spec.reduction, brackets=brackets)]
        case "median":
            return [Median(grace=spec.first_rung, min_trials=spec.min_trials)]
        case "pbt":
            return [Population(interval=spec.interval, quantile=spec.quantile)]
