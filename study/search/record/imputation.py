"""The past as samplers can use it that know neither trials stopped early nor trials without a value."""

import copy
from collections.abc import Sequence, Set

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.search.record.objectives import INFEASIBLE, Objectives
from study.search.record.trial import STOPPED, Trial


def imputed(
    past: Sequence[tuple[Trial, FrozenTrial]], objectives: Objectives, *, takes_constraints: bool
) -> list[FrozenTrial]:
    """Trials with a value for every objective, and those that run; failed ones are left out.

    A trial that was stopped early counts with its best until then: at most what it would have reached. Where
    nothing is known, and (for a sampler that knows no constraints) where one is missed, the worst that any
    trial showed is put.
    """
    ended = [(trial, frozen) for trial, frozen in past if trial.state in ("complete", *STOPPED, "infeasible")]
    worst = _worst([trial for trial, _ in ended], objectives)
    constraints = [str(constraint) for constraint in objectives.constraints]
    if any(trial.state == "infeasible" for trial, _ in ended):
        constraints.append(INFEASIBLE)
    imputed_trials = [frozen for _, frozen in past if frozen.state == TrialState.RUNNING]
    if worst is None:
        return imputed_trials
    recorded = _attributes_of_constraints({name for _, frozen in ended for name in frozen.constraints})
    for trial, frozen in ended:
        imputed_trial = copy.copy(frozen)
        imputed_trial.state = TrialState.COMPLETE
        imputed_trial.values = (
            worst if not takes_constraints and not trial.is_feasible else _values(trial, worst)
        )
        # The samplers want one value for each constraint of each trial.
        imputed_trial.system_attrs = {
            key: value for key, value in frozen.system_attrs.items() if key not in recorded
        }
        for constraint in constraints if takes_constraints else ():
            imputed_trial.set_constraint(constraint, trial.violations.get(constraint, 0.0))
        imputed_trials.append(imputed_trial)
    return sorted(imputed_trials, key=lambda frozen: frozen.number)


def _attributes_of_constraints(names: Set[str]) -> Set[str]:
    """Under which system attributes Optuna keeps the constraints of these names."""
    return create_trial(state=TrialState.PRUNED, constraints=dict.fromkeys(names, 0.0)).system_attrs.keys()


def _values(trial: Trial, worst: Sequence[float]) -> list[float]:
    return [
        bad if value is None else value for value, bad in zip(trial.objectives.values(), worst, strict=True)
    ]


def _worst(trials: Sequence[Trial], objectives: Objectives) -> list[float] | None:
    """The worst value of each objective that any trial showed; None where one was never seen."""
    worst = []
    for index, direction in enumerate(objectives.directions):
        seen = [value for trial in trials if (value := list(trial.objectives.values())[index]) is not None]
        if not seen:
            return None
        worst.append(min(seen) if direction == StudyDirection.MAXIMIZE else max(seen))
    return worst
