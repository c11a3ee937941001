"""The trials of a study with the values with which they count, those that were stopped early too."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import Point
from study.results.study_result import StudyResult
from study.search.record.trial import STOPPED, Trial
from study.study_file.objective import Objective

FENCE = 3.0
"""Interquartile ranges below the lower quartile from which on a value counts as that bound."""
HOW_THEY_COUNT = (
    "A trial that was stopped early counts with its best value of then plus the median of what the complete "
    "trials gained after that epoch, as its own end is not known; one whose objective became no number "
    "counts with the worst value, and values far below all others count as three interquartile ranges below "
    "the lower quartile, so that a few collapsed trials do not drown the rest. Trials that failed, and those "
    "that went on from another trial's weights, are left out."
)


@dataclass(frozen=True, kw_only=True)
class ScoredTrial:
    """One trial that counts."""

    number: int
    point: Point
    value: float
    """In units of the first objective."""


def scored_trials(result: StudyResult) -> tuple[ScoredTrial, ...]:
    """The trials that count, by number, with the values with which they count (`HOW_THEY_COUNT`)."""
    objective = result.spec.objective
    counted = [
        trial
        for trial in result.trials
        if trial.state in ("complete", *STOPPED) and trial.values and trial.continues is None
    ]
    complete = [best_so_far(trial.values, objective) for trial in counted if trial.state == "complete"]
    merits = [_merit(trial, complete, objective) for trial in counted]
    known = [merit for merit in merits if merit is not None]
    if not known:
        return ()
    fenced = _fenced(np.array(known))
    worst = float(fenced.min())
    values = iter(fenced.tolist())
    return tuple(
        ScoredTrial(
            number=trial.number,
            point=trial.point,
            value=objective.merit(worst if merit is None else next(values)),
        )
        for trial, merit in zip(counted, merits, strict=True)
    )


def best_so_far(values: Mapping[int, float], objective: Objective) -> dict[int, float]:
    """The merit of the best value up to each epoch; empty where the first value is no number."""
    best: dict[int, float] = {}
    for epoch in sorted(values):
        merit = objective.merit(values[epoch])
        if not math.isfinite(merit):
            break
        best[epoch] = max(merit, max(best.values(), default=merit))
    return best


def _merit(trial: Trial, complete: Sequence[Mapping[int, float]], objective: Objective) -> float | None:
    """The merit of a trial at its end, estimated where it was stopped; None where it diverged."""
    if not all(map(math.isfinite, trial.values.values())):
        return None
    best = best_so_far(trial.values, objective)
    last = max(best)
    gains = [curve[max(curve)] - curve[last] for curve in complete if last in curve]
    if trial.state == "complete" or not gains:
        return best[last]
    return best[last] + float(np.median(gains))


def _fenced(merits: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.quantile(merits, [0.25, 0.75])
    # Where most values are equal, no distance from them is far.
    return merits if high == low else np.maximum(merits, low - FENCE * (high - low))
