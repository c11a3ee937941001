"""How many epochs early stopping leaves: its rule played on made-up curves, and held against earlier studies
that ran under it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search_spaces.space import Point
from study.planning.plan import Plan
from study.quote.amount import Range
from study.quote.drawn import drawn_of, num_trials
from study.quote.earlier import EarlierStudy, earlier_studies
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.groups import group_at
from study.stopping.simulation import Curve, simulate
from trainables.errors import RecipeError

MOST_TRIALS, MOST_POINTS = 200, 40
"""Of a played study; a larger one is played in small and scaled."""
_EPOCHS_TO_PLAY, _MOST_GAMES = 8_000, 30
_FEWEST_TRIALS = 8
"""Of an earlier study that says something of its rule."""
_START, _SPEED, _SPEEDS, _NOISE, _LEARNT = 3.0, 0.15, 0.5, 0.15, 0.7
"""Of the made-up curves, in standard deviations of what trials end at: how far below it they begin, the share
of a schedule in which they come nearer by two thirds and its spread (of the logarithm), noise from epoch to
epoch, and what a sampler that learns has learnt by its last trial."""


@dataclass(frozen=True, kw_only=True)
class PlayedStudy:
    """How far each trial came in one game, by the order of their numbers."""

    epochs: tuple[float, ...]

    @property
    def total(self) -> float:
        """Epochs of all trials."""
        return sum(self.epochs)


@dataclass(frozen=True, kw_only=True)
class ExpectedEpochs:
    """What a study's trials train, all together."""

    range: Range
    source: str
    """Where that comes from, for a person."""
    games: tuple[PlayedStudy, ...]
    """Studies of this kind: their trials' epochs, as they would be without what earlier studies say."""
    factor: float = 1.0
    """What earlier studies under this rule trained, in units of what is played."""


def expected_epochs(plan: Plan, num_slots: int = 1) -> ExpectedEpochs:
    """The epochs of the search of a study whose trials run `num_slots` at a time."""
    return epochs_of(
        plan,
        [one.point for one in drawn_of(plan)],
        num_slots,
        earlier_studies(plan.home, besides=plan.spec.study),
    )


def epochs_of(
    plan: Plan, points: Sequence[Point], num_slots: int, earlier: Sequence[EarlierStudy]
) -> ExpectedEpochs:
    """The same with the points and the earlier studies at hand."""
    spec, num = plan.spec, num_trials(plan)
    epochs, rule = spec.budget.epochs, spec.early_stopping
    if not _stops(rule):
        exact = PlayedStudy(epochs=(float(epochs),) * num)
        why = (
            "as a population, which trains all its epochs"
            if rule.rule == "pbt"
            else "as no trial stops early"
        )
        return _limited(plan, ExpectedEpochs(range=Range.exactly(exact.total), source=why, games=(exact,)))
    games = played(rule, points, num, epochs, num_slots, learns=spec.sampler.abilities.learns)
    factors = [
        sum(len(trial.values) for trial in study.trials) / _played_anew(study)
        for study in earlier
        if _is_like(study, rule)
    ]
    totals = np.array([game.total for game in games])
    factor = statistics.median(factors) if factors else 1.0
    low, expected, high = (float(one) * factor for one in np.quantile(totals, (0.1, 0.5, 0.9)))
    # One earlier study is one draw; the games differ as studies of one kind do.
    source = (
        f"{rule.rule} on made-up curves, held against {_counted(len(factors))} of this home under {rule.rule}"
        if factors
        else f"{rule.rule} on made-up curves, as this home has no ended study under {rule.rule} yet"
    )
    found = Range(low=low, expected=expected, high=min(high, float(num * epochs)))
    return _limited(plan, ExpectedEpochs(range=found, source=source, games=games, factor=factor))


def played(
    rule: EarlyStopping,
    points: Sequence[Point],
    num_trials: int,
    epochs: int,
    num_slots: int,
    *,
    learns: bool,
) -> tuple[PlayedStudy, ...]:
    """Games of a study of so many trials and epochs under a rule, on curves that are made up: each begins
    low, rises ever more slowly towards what it ends at, and shakes.

    A study of many trials or epochs is played with fewer of them, and scaled. The games follow from the
    arguments alone.
    """
    num, num_points = min(num_trials, MOST_TRIALS), min(epochs, MOST_POINTS)
    scaled = rule
    if rule.plateau is not None and num_points < epochs:
        scaled = rule.model_copy(update={"plateau": max(round(rule.plateau * num_points / epochs), 1)})
    num_games = min(max(_EPOCHS_TO_PLAY // (num * num_points), 1), _MOST_GAMES)
    source = np.random.default_rng(0)
    games = []
    for _ in range(num_games):
        curves = _curves(source, points, num, num_points, learns=learns)
        endings = simulate(curves, build_rules(scaled, maximise=True), min(num_slots, num))
        each = [endings[curve.trial].epoch * epochs / num_points for curve in curves]
        games.append(PlayedStudy(epochs=tuple(each[index % num] for index in range(num_trials))))
    return tuple(games)


def _curves(
    source: np.random.Generator, points: Sequence[Point], num: int, num_points: int, *, learns: bool
) -> list[Curve]:
    order = source.permutation(len(points))
    ends = source.normal(size=num) + (_LEARNT * np.arange(num) / max(num - 1, 1) if learns else 0.0)
    speeds = _SPEED * np.exp(_SPEEDS * source.normal(size=num))
    shares = np.arange(1, num_points + 1) / num_points
    values = ends[:, None] - _START * np.exp(-shares[None, :] / speeds[:, None])
    values = values + _NOISE * source.normal(size=values.shape)
    return [
        Curve(
            trial=trial,
            values=dict(enumerate(values[trial].tolist(), start=1)),
            num_epochs=num_points,
            group_at=_Groups(points[order[trial % len(points)]], num_points),
            epoch_seconds=1.0,
        )
        for trial in range(num)
    ]


class _Groups:
    """The group of a trial at an epoch, looked up once for each trial."""

    def __init__(self, point: Point, num_epochs: int) -> None:
        self._by_epoch: dict[int, str] = {}
        self._point = point
        self._num_epochs = num_epochs

    def __call__(self, epoch: int) -> str:
        if epoch not in self._by_epoch:
            try:
                self._by_epoch[epoch] = group_at(self._point, epoch, self._num_epochs)
            except RecipeError:  # too few epochs for the phases of the point
                self._by_epoch[epoch] = ""
        return self._by_epoch[epoch]


def _stops(rule: EarlyStopping) -> bool:
    return rule.rule not in ("none", "pbt") or rule.plateau is not None


def _is_like(study: EarlierStudy, rule: EarlyStopping) -> bool:
    return study.spec.early_stopping == rule and len(study.trials) >= _FEWEST_TRIALS and study.has_ended


def _played_anew(study: EarlierStudy) -> float:
    """Epochs of a study like that one, as it is played."""
    spec = study.spec
    games = played(
        spec.early_stopping,
        [trial.point for trial in study.trials],
        len(study.trials),
        spec.budget.epochs,
        1,
        learns=spec.sampler.abilities.learns,
    )
    return statistics.median(game.total for game in games)


def _limited(plan: Plan, found: ExpectedEpochs) -> ExpectedEpochs:
    limit = plan.spec.budget.total_epochs
    if limit is None or limit >= found.range.high:
        return found
    return replace(
        found,
        range=found.range.at_most(limit),
        source=f"{found.source}, at most budget.total_epochs",
        factor=found.factor * min(limit / max(found.range.expected, 1.0), 1.0),
    )


def _counted(number: int) -> str:
    return "one study" if number == 1 else f"{number} studies"
