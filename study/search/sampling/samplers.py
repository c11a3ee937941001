"""Sampling: the one translation of a search space into what Optuna needs, and Optuna's samplers by name."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, assert_never

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, FrozenTrial

from search_spaces.dimensions import Choice, Dimension, Float, Int, Value
from search_spaces.space import Point, SearchSpace
from study.search.sampling.fast_tpe import QuickTPESampler
from study.search.sampling.sampler_storage import SamplersView
from study.study_file.sampler import SamplerRule

STARTUP_TRIALS = 10
"""Trials drawn at random before a model of good configurations is used."""
POPULATION = 20
"""Trials of one generation of NSGA-II; Optuna's 50 would spend a usual budget on the first, which is
random."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What a sampler proposes."""

    point: Point
    trial_notes: Mapping[str, Any]
    """What the sampler wants to find again with this trial."""
    study_notes: Mapping[str, Any]
    """What it wants to find again with the study."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What a sampler may look at."""

    past: Sequence[FrozenTrial]
    directions: Sequence[StudyDirection]
    study_notes: Mapping[str, Any]
    number: int
    """Of the trial that is drawn."""


def suggest_point(space: SearchSpace, rule: SamplerRule, seed: int, history: History) -> Suggestion:
    """What Optuna's sampler of that name proposes; it follows from the arguments alone.

    Each draw has a sampler of its own, so that nothing in the process's past can change the proposal.
    """
    view = SamplersView(history.past, history.number)
    study_id = view.create_new_study(history.directions, "view")
    for key, value in history.study_notes.items():
        view.set_study_system_attr(study_id, key, value)
    with warnings.catch_warnings(), _single_thread() if rule == "gp" else nullcontext():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.load_study(study_name="view", storage=view, sampler=build_sampler(rule, seed))
        trial = study.ask()
        point = sample(space, trial)
        trial.relative_params  # noqa: B018  a space without free dimensions asks for nothing, and the notes are wanted still
    return Suggestion(
        point=point, trial_notes=view.drawn.system_attrs, study_notes=view.get_study_system_attrs(study_id)
    )


def build_sampler(rule: SamplerRule, seed: int) -> BaseSampler:
    """Optuna's sampler of that name, for the rules that learn; the others draw without Optuna."""
    match rule:
        case "tpe":
            return _tpe(seed)
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)
        case "cma_es":
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case "nsga2":
            return NSGAIISampler(seed=seed, population_size=POPULATION)
        case "random" | "grid" | "quasi_random":
            raise AssertionError(f"sampler {rule} draws without Optuna")
        case never:
            assert_never(never)


def sample(space: SearchSpace, trial: BaseTrial) -> Point:
    """The point that `trial` suggests: only the dimensions that exist in it are suggested."""
    return space.build_point(lambda dimension: _suggest(trial, space.key(dimension), dimension))


def translate(space: SearchSpace, point: Point) -> tuple[dict[str, Value], dict[str, BaseDistribution]]:
    """Values and distributions of a point in the sampler's names.

    The point must have passed `space.check`.
    """
    params: dict[str, Value] = {}
    distributions: dict[str, BaseDistribution] = {}

    def take(dimension: Dimension) -> Value:
        key = space.key(dimension)
        params[key], distributions[key] = point[dimension.name], _distribution(dimension)
        return point[dimension.name]

    space.build_point(take)
    return params, distributions


@contextmanager
def _single_thread() -> Iterator[None]:
    """Keeps PyTorch from spreading matrices of some dozen rows over all cores, which trials use: a draw takes
    a tenth of the time.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _suggest(trial: BaseTrial, key: str, dimension: Dimension) -> Value:
    match dimension:
        case Float():
            return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)
        case Int():
            return trial.suggest_int(key, dimension.low, dimension.high, log=dimension.log)
        case Choice():
            chosen: Value = trial.suggest_categorical(key, dimension.options)  # type: ignore[assignment]  # None is no option
            return chosen


def _distribution(dimension: Dimension) -> BaseDistribution:
    match dimension:
        case Float():
            return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
        case Int():
            return IntDistribution(dimension.low, dimension.high, log=dimension.log)
        case Choice():
            return CategoricalDistribution(dimension.options)


def _tpe(seed: int) -> BaseSampler:
    """Dimensions that exist together are modelled together."""
    return QuickTPESampler(
        seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS, constant_liar=True
    )
