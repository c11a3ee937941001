"""Sampling: the one translation of a search space into what Optuna needs."""

import warnings

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import BaseTrial

from search_spaces.dimensions import Choice, Dimension, Float, Int, Value
from search_spaces.space import Point, SearchSpace

STARTUP_TRIALS = 10
"""Trials drawn at random before the model of good configurations is asked."""


def sample(space: SearchSpace, trial: BaseTrial) -> Point:
    """The point that `trial` suggests: only the dimensions that exist in it are asked for."""
    return space.build_point(lambda dimension: suggest(trial, space.key(dimension), dimension))


def suggest(trial: BaseTrial, key: str, dimension: Dimension) -> Value:
    """One dimension's value, within both inclusive bounds."""
    match dimension:
        case Float():
            return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)
        case Int():
            return trial.suggest_int(key, dimension.low, dimension.high, log=dimension.log)
        case Choice():
            return trial.suggest_categorical(key, dimension.options)


def sampler_params(space: SearchSpace, point: Point) -> dict[str, Value]:
    """A point of the space in the sampler's names, to be tried as it is. The point must have passed `space.check`."""
    params: dict[str, Value] = {}

    def take(dimension: Dimension) -> Value:
        params[space.key(dimension)] = point[dimension.name]
        return point[dimension.name]

    space.build_point(take)
    return params


def tpe(seed: int, num_trials: int) -> BaseSampler:
    """TPE over a conditional space: groups of dimensions that exist together are modelled together.

    The sampler is made anew for each draw, so that a draw follows from the seed, the number of trials before it and the
    recorded history alone, also after a restart.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=(seed * 1_000_003 + num_trials) % 2**32, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS, constant_liar=True
        )
