"""The marginal effect of a dimension on the first objective, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.dimensions import Value
from study.analysis.additive_model import AdditiveModel
from study.analysis.scored_trials import ScoredTrial, scored_trials
from study.analysis.varied_dimensions import VariedDimension, varied_dimensions
from study.results.study_result import StudyResult
from trainables.metrics.classification import RANGES

MIN_TRIALS = 8
"""With which a dimension must exist for its effect to be estimated."""
MIN_IN_GROUP = 4
NUM_POINTS = 9
MAX_WHOLE, MAX_REAL = 12, 4
"""Different numbers up to which each is a point, of whole ones and of others."""
EFFECT_METHOD = (
    "Each effect is what an additive regression expects of the objective (a smooth curve for each number, a "
    "level for each option, all dimensions at once), averaged over the values that the other dimensions had "
    "in the trials. So a dimension gets no credit for what others did in the same trials. Intervals hold "
    "95 % of what the trials leave possible, under noise of one size. Influences that dimensions have "
    "together count as noise, but for those on the dimension that curves are divided by."
)


@dataclass(frozen=True, kw_only=True)
class EffectPoint:
    """The objective to expect at one value of a dimension, other dimensions averaged over."""

    value: float | str
    """Of the dimension: a number on its own scale, or the text of an option."""
    mean: float
    """In units of the first objective."""
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float
    num_trials: int
    """That lie nearest to this value of all the points."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One curve: the marginal effect of one dimension."""

    dimension: str
    group: str | None
    """The value of the dimension that curves are divided by, such as `resnet18`; None for all trials."""
    points: tuple[EffectPoint, ...]
    """Ascending for numbers, evenly apart on the dimension's scale; options in their order."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far the best and the worst value of a dimension lie apart."""

    best: float | str
    worst: float | str
    loss: float
    """By how much the objective is worse at the worst value; above 0."""
    low: float
    """Lower end of the 95 % interval of the loss; below 0 where trials do not tell which one is better."""
    high: float


def effects(result: StudyResult, dimension: str, by: str | None = None) -> tuple[Effect, ...]:
    """The effect of a dimension, over the trials where it exists; one for each value of the dimension `by`,
    where that is given and varies in options.

    Empty where there are too few trials, or where the dimension does not vary.
    """
    return Marginals(result).effects(dimension, by)


class Marginals:
    """The effects of all dimensions of a study: the regression is made once."""

    def __init__(self, result: StudyResult, trials: Sequence[ScoredTrial] | None = None) -> None:
        """Of all trials that count, or of `trials`."""
        self.trials = scored_trials(result) if trials is None else tuple(trials)
        self.points = [trial.point for trial in self.trials]
        self.dimensions = varied_dimensions(result.spec, self.points)
        self._range = RANGES[result.spec.objective.metric] if trials is None else (-math.inf, math.inf)
        self._models: dict[tuple[str, str] | None, AdditiveModel] = {}

    @property
    def can_tell(self) -> bool:
        """Whether there are enough trials for any effect."""
        values = {trial.value for trial in self.trials}
        return len(self.trials) >= MIN_TRIALS and len(values) > 1 and bool(self.dimensions)

    def dimension(self, name: str) -> VariedDimension | None:
        """None where it does not vary, or exists in too few trials."""
        found = next((one for one in self.dimensions if one.name == name), None)
        if not self.can_tell or found is None or sum(map(found.has, self.points)) < MIN_TRIALS:
            return None
        return found

    def effects(self, name: str, by: str | None = None) -> tuple[Effect, ...]:
        """As `effects`."""
        dimension = self.dimension(name)
        if dimension is None:
            return ()
        group = next((one for one in self.dimensions if one.name == by and one.options), None)
        if group is None or group is dimension:
            return (self._effect(dimension, None, None),)
        found = (self._effect(dimension, group, option) for option in group.options)
        return tuple(effect for effect in found if effect.points)

    def gap(self, name: str, *, maximise: bool) -> Gap | None:
        """Between the best and the worst of the values at which the effect is told."""
        dimension = self.dimension(name)
        if dimension is None:
            return None
        values = shown_values(dimension, [point[name] for point in self.points if dimension.has(point)])
        changes = [{name: value} for value in values]
        means = [estimate.mean for estimate in self.model().differences(changes, changes[0])]
        least, most = means.index(min(means)), means.index(max(means))
        (found,) = self.model().differences([changes[most]], changes[least])
        best, worst = (most, least) if maximise else (least, most)
        return Gap(
            best=_plain(dimension, values[best]),
            worst=_plain(dimension, values[worst]),
            loss=found.mean,
            low=found.low,
            high=found.high,
        )

    def model(self, by: tuple[str, str] | None = None) -> AdditiveModel:
        """The regression; with curves of a dimension of its own in each option of another one."""
        if by not in self._models:
            values = [trial.value for trial in self.trials]
            self._models[by] = AdditiveModel(self.dimensions, self.points, values, by=by)
        return self._models[by]

    def _effect(
        self, dimension: VariedDimension, group: VariedDimension | None, option: Value | None
    ) -> Effect:
        of_group = [
            point
            for point in self.points
            if dimension.has(point)
            and (group is None or (group.has(point) and repr(point[group.name]) == repr(option)))
        ]
        points: list[EffectPoint] = []
        if group is None or len(of_group) >= MIN_IN_GROUP:
            points = self._points(dimension, group, option, [point[dimension.name] for point in of_group])
        return Effect(
            dimension=dimension.name, group=None if group is None else str(option), points=tuple(points)
        )

    def _points(
        self,
        dimension: VariedDimension,
        group: VariedDimension | None,
        option: Value | None,
        tried: Sequence[Value],
    ) -> list[EffectPoint]:
        values = shown_values(dimension, tried)
        with_group = {} if group is None or option is None else {group.name: option}
        estimates = self.model(None if group is None else (dimension.name, group.name)).estimates(
            [{dimension.name: value, **with_group} for value in values],
            [dimension.has(point) for point in self.points],
        )
        lowest, highest = self._range
        nearest = np.abs(dimension.positions(tried)[:, None] - dimension.positions(values)[None]).argmin(1)
        counts = np.bincount(nearest, minlength=len(values))
        return [
            EffectPoint(
                value=_plain(dimension, value),
                mean=min(max(estimate.mean, lowest), highest),
                low=min(max(estimate.low, lowest), highest),
                high=min(max(estimate.high, lowest), highest),
                num_trials=int(count),
            )
            for value, estimate, count in zip(values, estimates, counts, strict=True)
        ]


def _plain(dimension: VariedDimension, value: Value) -> float | str:
    return str(value) if dimension.options else float(value)


def shown_values(dimension: VariedDimension, tried: Sequence[Value]) -> list[Value]:
    """The values of a dimension at which its effect is told: between the least and the greatest that were
    tried, evenly apart on its scale; or all options that were tried.
    """
    if dimension.options:
        known = set(map(repr, tried))
        return [option for option in dimension.options if repr(option) in known]
    numbers = sorted({float(value) for value in tried})
    if len(numbers) <= (MAX_WHOLE if dimension.is_whole else MAX_REAL):
        return [int(number) if dimension.is_whole else number for number in numbers]
    first, last = dimension.positions([numbers[0], numbers[-1]])
    between = [dimension.number_at(float(place)) for place in np.linspace(first, last, NUM_POINTS)]
    if dimension.is_whole:
        return [int(number) for number in sorted({round(number) for number in between})]
    return [numbers[0], *between[1:-1], numbers[-1]]
