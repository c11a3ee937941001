"""Choosing among configurations by the mean over seeds and, within its noise, by the cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from study.evaluation.final_result import Confirmed
from study.search.record.trial import Trial
from study.study_file.objective import Objective

CONFIDENCE = 0.95
SAME_COST = 1.05
"""Costs within this factor count as the same: times are measured, and differ from run to run."""


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A configuration and its further trainings."""

    trial: Trial
    trainings: Mapping[int, Trial]
    """By further seed, with those that have no result."""

    @property
    def values(self) -> list[float]:
        """The objective of those that were trained to the end."""
        return [
            training.value
            for training in self.trainings.values()
            if is_result(training) and training.value is not None
        ]

    @property
    def is_whole(self) -> bool:
        """Whether every training has a result."""
        return len(self.values) == len(self.trainings)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far values of one configuration scatter from seed to seed."""

    deviation: float
    """Standard deviation, pooled over configurations."""
    degrees: int
    """Of freedom that it was estimated with."""

    @classmethod
    def of(cls, groups: Sequence[Sequence[float]]) -> "Noise | None":
        """`sqrt(sum((n - 1) s^2) / sum(n - 1))` over groups of n values of variance s^2; None where no group
        has two.
        """
        scattered = [group for group in groups if len(group) > 1]
        degrees = sum(len(group) - 1 for group in scattered)
        if not degrees:
            return None
        squares = sum((len(group) - 1) * variance(group) for group in scattered)
        return cls(deviation=math.sqrt(squares / degrees), degrees=degrees)

    def half_width(self, num_values: int) -> float:
        """Of the 95 % interval of a mean (Student's t)."""
        from scipy.stats import t

        return float(t.ppf((1 + CONFIDENCE) / 2, self.degrees)) * self.deviation / math.sqrt(num_values)

    def of_difference(self, num_values: int, num_others: int) -> float:
        """Standard error of the difference of two means."""
        return self.deviation * math.sqrt(1 / num_values + 1 / num_others)


def compare_repeated(repeated: Sequence[Repeated], objective: Objective) -> tuple[Confirmed, ...]:
    """The configurations by the mean over their further seeds, the best first, and why each was chosen or
    not.

    The one-standard-error rule (Breiman et al. 1984, section 3.4.3), for a difference: `m` is within noise of
    the best mean `b` if `|b - m| <= s sqrt(1/n_b + 1/n_m)`, with `s` the standard deviation over seeds,
    pooled over the configurations, as the few values of one say little of it. Of those within noise the best
    mean is chosen among the cheapest: those of fewest parameters, or of least latency where the study
    measures it, and what costs up to 5 % more. Where a seed has no result, the configuration comes after all
    others; where none has one, none is chosen.
    """
    with_values = [one for one in repeated if one.values]
    if not with_values:
        return tuple(_row(one, None, "no further seed has a result", is_chosen=False) for one in repeated)
    noise = Noise.of([one.values for one in with_values])
    ranked = sorted(
        with_values, key=lambda one: (not one.is_whole, -objective.merit(fmean(one.values)), one.trial.number)
    )
    best = ranked[0]
    near = [one for one in ranked if one.is_whole == best.is_whole and _is_near(one, best, noise)]
    chosen = _cheapest(near)
    rows = [_row(one, noise, _verdict(one, best, chosen, near), is_chosen=one is chosen) for one in ranked]
    return (
        *rows,
        *(
            _row(one, noise, "no further seed has a result", is_chosen=False)
            for one in repeated
            if not one.values
        ),
    )


def is_result(training: Trial) -> bool:
    """Whether a further training was trained to the end."""
    return training.state == "complete"


def _is_near(one: Repeated, best: Repeated, noise: Noise | None) -> bool:
    error = 0.0 if noise is None else noise.of_difference(len(best.values), len(one.values))
    return abs(fmean(best.values) - fmean(one.values)) <= error


def _cheapest(near: Sequence[Repeated]) -> Repeated:
    """The best mean, which comes first, of those that cost least."""
    costs = [_cost(one, near) for one in near]
    least = min(costs)
    return next(one for one, cost in zip(near, costs, strict=True) if cost <= SAME_COST * least)


def _cost(one: Repeated, near: Sequence[Repeated]) -> float:
    """Latency if all have been measured, else parameters."""
    name = (
        "latency_ms"
        if all(_measured(other, "latency_ms") is not None for other in near)
        else "parameters_million"
    )
    return _measured(one, name) or 0.0


def _measured(one: Repeated, name: str) -> float | None:
    """The mean over seeds of a measure; None where there is none."""
    values = [training.measures[name] for training in one.trainings.values() if name in training.measures]
    return fmean(values) if values else None


def _verdict(one: Repeated, best: Repeated, chosen: Repeated, near: Sequence[Repeated]) -> str:
    if not one.is_whole:
        lacking = len(one.trainings) - len(one.values)
        verdict = f"{lacking} of {len(one.trainings)} seeds have no result"
        return f"{verdict}: chosen" if one is chosen else verdict
    if one is best:
        return "best mean: chosen" if one is chosen else "best mean"
    if one is chosen:
        return "within noise of the best, and cheaper: chosen"
    return "within noise of the best" if one in near else "below the best"


def _row(one: Repeated, noise: Noise | None, verdict: str, *, is_chosen: bool) -> Confirmed:
    assert one.trial.value is not None, "only a trial with a value is confirmed"
    values = one.values
    return Confirmed(
        trial=one.trial.number,
        search_value=one.trial.value,
        values=tuple(training.value if is_result(training) else None for training in one.trainings.values()),
        mean=fmean(values) if values else None,
        half_width=noise.half_width(len(values)) if noise is not None and values else None,
        parameters_million=_measured(one, "parameters_million"),
        latency_ms=_measured(one, "latency_ms"),
        verdict=verdict,
        is_chosen=is_chosen,
    )
