"""Optuna's TPE sampler, faster where a space has many conditions: it ranks the past once for each draw.

Optuna models each group of dimensions that exist together by itself, some dozen in a conditional space, and
ranks and converts all trials anew for each. What is drawn is the same, value by value.

This follows inner functions of Optuna 5.0, which `pyproject.toml` holds; `tests/upstream/README.md` lists
them.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_gamma_multiobjective
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

_SEEN = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]


class QuickTPESampler(TPESampler):
    """For a single draw with `constant_liar`: it remembers how the past was split."""

    _split: tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] | None = None
    """The parameters of the good trials, and those of the others."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As Optuna does; of trials with the same dimensions the first says all."""
        return super().infer_relative_search_space(_OneOfEachKind(study), trial)  # type: ignore[arg-type]  # stands in for a study

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        good, others = self._split = self._split or self._split_past(study, trial)
        of_good = self._build_parzen_estimator(study, search_space, good, handle_below=True)  # type: ignore[arg-type]  # as below
        of_others = self._build_parzen_estimator(study, search_space, others, handle_below=False)  # type: ignore[arg-type]
        samples = of_good.sample(self._rng.rng, self._n_ei_candidates)
        drawn = self._compare(samples, self._compute_acquisition_func(samples, of_good, of_others))
        return {
            name: distribution.to_external_repr(drawn[name]) for name, distribution in search_space.items()
        }

    def _split_past(
        self, study: Study, trial: FrozenTrial
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        seen = [
            other for other in study.get_trials(deepcopy=False, states=_SEEN) if other.number != trial.number
        ]
        num_ended = sum(other.state != TrialState.RUNNING for other in seen)
        gamma = default_gamma if len(study.directions) == 1 else default_gamma_multiobjective
        good, others = _split_trials(study, seen, gamma(num_ended))
        return [self._get_params(one, study) for one in good], [
            self._get_params(one, study) for one in others
        ]

    def _get_internal_repr(  # type: ignore[override]  # the trials are what `_split_past` made of them
        self, trials: Sequence[Mapping[str, Any]], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[Any]]:
        """Columns of numbers; the trials are the parameters alone."""
        names = search_space.keys()
        rows = [params for params in trials if names <= params.keys()]
        return {
            name: _column([params[name] for params in rows], distribution)
            for name, distribution in search_space.items()
        }


def _column(values: list[Any], distribution: BaseDistribution) -> NDArray[Any]:
    if not isinstance(distribution, CategoricalDistribution):
        return np.asarray(values, dtype=float)
    indices = {option: distribution.to_internal_repr(option) for option in set(values)}
    return np.asarray([indices[value] for value in values])


class _OneOfEachKind:
    """A study as the search for its dimensions sees it: one trial of each set of dimensions, in the order of
    their first trials.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool, states: Container[TrialState], use_cache: bool
    ) -> list[FrozenTrial]:
        kinds: dict[frozenset[str], FrozenTrial] = {}
        for trial in self._study.get_trials(deepcopy=False, states=states):
            kinds.setdefault(frozenset(trial.distributions), trial)
        return list(kinds.values())
