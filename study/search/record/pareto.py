"""The trials of which no other is better in everything."""

from collections.abc import Sequence

from study.search.record.trial import Trial
from study.study_file.objective import Objective


def pareto_front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> tuple[Trial, ...]:
    """Complete trials that miss no constraint and that no other such trial dominates, the best in the first
    objective first.

    One dominates another if it is at least as good in every objective, and better in one; equal trials all
    stay.
    """
    losses = {
        trial.number: _losses(trial, objectives)
        for trial in trials
        if trial.state == "complete" and trial.is_feasible and None not in trial.objectives.values()
    }
    by_number = {trial.number: trial for trial in trials}
    front: list[int] = []
    # In this order no trial is dominated by a later one, so that each is compared with the front alone.
    for number in sorted(losses, key=lambda number: (losses[number], number)):
        if not any(_dominates(losses[other], losses[number]) for other in front):
            front.append(number)
    return tuple(by_number[number] for number in front)


def _losses(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Values of which less is better."""
    values = [trial.objectives[objective.metric] or 0.0 for objective in objectives]
    return tuple(-objective.merit(value) for value, objective in zip(values, objectives, strict=True))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
