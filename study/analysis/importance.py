"""How much each dimension mattered for the first objective."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, create_trial

from study.analysis.chance import shown_to_matter
from study.analysis.effects import Marginals
from study.analysis.scored_trials import HOW_THEY_COUNT, ScoredTrial
from study.analysis.varied_dimensions import VariedDimension
from study.results.study_result import StudyResult

MIN_TRIALS = 10
"""In which a dimension must exist."""
MAX_DEPTH = 6
"""Of a tree: deeper ones take minutes for 500 trials, and tell no more of single dimensions."""
FEWEST_TREES, MOST_TREES, TREES_TIMES_TRIALS = 20, 64, 4000
METHOD = (
    "Functional analysis of variance by Optuna (fANOVA, Hutter, Hoos & Leyton-Brown 2014): the share of the "
    "differences between trials that a dimension explains by itself, in a random forest of {trees} trees "
    "over {all} trials, numbers on the scales that they are drawn on. A dimension that exists in some trials "
    "only is judged among those, by a forest of its own, so its share is of their differences; one that "
    "exists in fewer than "
    f"{MIN_TRIALS} trials is left out. "
) + HOW_THEY_COUNT


@dataclass(frozen=True, kw_only=True)
class Importance:
    """One dimension."""

    dimension: str
    share: float
    """In [0, 1], of the differences between the trials in which it exists; those that exist in all trials add
    up to at most 1."""
    num_trials: int
    """In which it exists, and which are counted."""
    exists_when: str | None
    """Such as `optimizer is sgd`; None where it exists in all trials."""
    is_beyond_chance: bool
    """Whether the trials show, with 95 % confidence for all dimensions together, that it has an influence;
    where they do not, the share may be luck."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The dimensions of a study that vary, the most important first."""

    method: str
    """How the shares are estimated, and what becomes of conditional dimensions and stopped trials."""
    rows: tuple[Importance, ...]
    """Largest first; empty where `remark` says why."""
    remark: str | None
    """Why there are none, such as too few trials; None where there are."""


def importances(result: StudyResult, marginals: Marginals | None = None) -> Importances:
    """The importance of each dimension that varies, for the first objective; the same at each call.

    `marginals` are those of this result, where they are known already.
    """
    marginals = Marginals(result) if marginals is None else marginals
    trials, dimensions = marginals.trials, marginals.dimensions
    method = METHOD.format(trees=_num_trees(len(trials)), all=len(trials))
    remark = _remark(trials, dimensions)
    if remark is not None:
        return Importances(method=method, rows=(), remark=remark)
    matters = shown_to_matter(marginals)
    rows = [
        Importance(
            dimension=dimension.name,
            share=share,
            num_trials=sum(dimension.has(trial.point) for trial in trials),
            exists_when=dimension.exists_when,
            is_beyond_chance=matters[dimension.name],
        )
        for dimension, share in _shares(trials, dimensions)
    ]
    return Importances(method=method, rows=tuple(sorted(rows, key=lambda row: -row.share)), remark=None)


def _remark(trials: Sequence[ScoredTrial], dimensions: Sequence[VariedDimension]) -> str | None:
    if len(trials) < MIN_TRIALS:
        return (
            f"Importance needs at least {MIN_TRIALS} trials that ended with a value; there are {len(trials)}."
        )
    if not dimensions:
        return "No dimension varies among the trials, so none can be more important than another."
    if len({trial.value for trial in trials}) == 1:
        return "All trials have the same value, so no dimension made a difference."
    return None


def _shares(
    trials: Sequence[ScoredTrial], dimensions: Sequence[VariedDimension]
) -> list[tuple[VariedDimension, float]]:
    """Dimensions that exist in the same trials share a forest."""
    by_trials: dict[tuple[bool, ...], list[VariedDimension]] = {}
    for dimension in dimensions:
        existing = tuple(dimension.has(trial.point) for trial in trials)
        by_trials.setdefault(existing, []).append(dimension)
    found = []
    for existing, together in by_trials.items():
        among = [trial for trial, is_there in zip(trials, existing, strict=True) if is_there]
        if len(among) >= MIN_TRIALS:
            shares = _shares_among(among, dimensions)
            found += [(dimension, shares[dimension.name]) for dimension in together]
    return found


def _shares_among(trials: Sequence[ScoredTrial], dimensions: Sequence[VariedDimension]) -> dict[str, float]:
    """Of all dimensions that exist in all of these trials, by name."""
    everywhere = [one for one in dimensions if all(one.has(trial.point) for trial in trials)]
    if len({trial.value for trial in trials}) == 1:
        return dict.fromkeys((dimension.name for dimension in everywhere), 0.0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    evaluator = FanovaImportanceEvaluator(n_trees=_num_trees(len(trials)), max_depth=MAX_DEPTH, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study()
        study.add_trials([_frozen(trial, everywhere) for trial in trials])
        found = evaluator.evaluate(study, params=[dimension.name for dimension in everywhere])
    return {name: float(share) for name, share in found.items()}


def _num_trees(num_trials: int) -> int:
    return min(max(TREES_TIMES_TRIALS // max(num_trials, 1), FEWEST_TREES), MOST_TREES)


def _frozen(trial: ScoredTrial, dimensions: Sequence[VariedDimension]) -> FrozenTrial:
    """Numbers are positions in their range: Optuna's analysis would weigh a logarithm's values evenly."""
    return create_trial(
        params={
            dimension.name: trial.point[dimension.name]
            if dimension.options
            else float(dimension.positions([trial.point[dimension.name]])[0])
            for dimension in dimensions
        },
        distributions={dimension.name: _distribution(dimension) for dimension in dimensions},
        value=trial.value,
    )


def _distribution(dimension: VariedDimension) -> BaseDistribution:
    return CategoricalDistribution(dimension.options) if dimension.options else FloatDistribution(0.0, 1.0)
