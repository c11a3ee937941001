"""Learning curves of configurations that nobody trained, from a table of those that somebody did.

A forest of extremely randomised trees (Geurts 2006) gives the mean curve of a configuration, and the recorded
configuration that most of its trees put beside it lends its deviation from its own mean curve: curves of a
forest alone are smoother than trainings are. `python tests/benchmarks/search_on_curves.py --error` prints how
far off held-out configurations are.
"""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor

from search_spaces.dimensions import Choice, Value
from search_spaces.space import Point, SearchSpace

NUM_TREES = 60
MINIMISED = ("log_loss",)

# N configurations, E epochs, F features


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The trainings of one task, those of one seed."""

    points: tuple[Point, ...]
    values_NE: NDArray[np.float64]
    """The metric after each epoch, shape [N, E]; after a divergence, the worst that anybody showed."""
    seconds_NE: NDArray[np.float64]
    """Of training and validating, each epoch's own, shape [N, E]; after a divergence, the mean of the epochs
    before, or of all trainings."""


def read_task(table: Path, task: str, metric: str, *, num_epochs: int, seed: int = 0) -> Recorded:
    """The trainings of a task."""
    columns = ["number", "epoch", "point", metric, "train_seconds", "validation_seconds"]
    rows = pq.read_table(
        table, columns=columns, filters=[("task", "=", task), ("seed", "=", seed)]
    ).to_pylist()
    numbers = sorted({row["number"] for row in rows})
    place = {number: index for index, number in enumerate(numbers)}
    values_NE = np.full((len(numbers), num_epochs), math.nan)
    seconds_NE = np.full((len(numbers), num_epochs), math.nan)
    points: dict[int, Point] = {}
    for row in rows:
        where = place[row["number"]], row["epoch"] - 1
        values_NE[where] = row[metric]
        seconds_NE[where] = row["train_seconds"] + row["validation_seconds"]
        points[row["number"]] = json.loads(row["point"])
    worst = np.nanmax(values_NE) if metric in MINIMISED else np.nanmin(values_NE)
    known_N1 = np.isfinite(seconds_NE).sum(axis=1, keepdims=True)
    mean_seconds_N1 = np.where(
        known_N1 > 0,
        np.nansum(seconds_NE, axis=1, keepdims=True) / np.maximum(known_N1, 1),
        np.nanmean(seconds_NE),
    )
    return Recorded(
        points=tuple(points[number] for number in numbers),
        values_NE=np.where(np.isnan(values_NE), worst, values_NE),
        seconds_NE=np.where(np.isnan(seconds_NE), mean_seconds_N1, seconds_NE),
    )


class Surrogate:
    """Answers for any configuration of a space; the same configuration has the same curve."""

    def __init__(self, space: SearchSpace, recorded: Recorded) -> None:
        """Fits the forest, in some tenths of a second."""
        self._columns = _columns(space)
        self._recorded = recorded
        features_NF = self._features(recorded.points)
        self._targets_NT = np.hstack([recorded.values_NE, np.log(recorded.seconds_NE)])
        self._forest = ExtraTreesRegressor(
            NUM_TREES, min_samples_leaf=2, max_features=0.5, bootstrap=True, oob_score=True, random_state=0
        ).fit(features_NF, self._targets_NT)
        self._deviations_NT = self._targets_NT - self._forest.oob_prediction_
        self._leaves_NL = self._forest.apply(features_NF)
        self._known: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def curve(self, point: Point) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and seconds of each epoch, shapes [E]."""
        key = json.dumps(point, sort_keys=True)
        if key not in self._known:
            features_1F = self._features([point])
            together_N = (self._forest.apply(features_1F) == self._leaves_NL).sum(axis=1)
            choice = np.random.default_rng(zlib.crc32(key.encode()))
            beside = choice.choice(len(together_N), p=together_N / together_N.sum())
            both_T = self._forest.predict(features_1F)[0] + self._deviations_NT[beside]
            values_E, log_seconds_E = np.split(both_T, 2)
            low, high = self._recorded.values_NE.min(), self._recorded.values_NE.max()
            # What is beyond all that was seen is an accident of adding up.
            self._known[key] = np.clip(values_E, low, high), np.exp(log_seconds_E)
        return self._known[key]

    def _features(self, points: Sequence[Point]) -> NDArray[np.float64]:
        return np.array([[_feature(point, *column) for column in self._columns] for point in points])


def held_out_errors(space: SearchSpace, recorded: Recorded, folds: int = 5) -> Mapping[str, float]:
    """Of the last epoch's value: the rank correlation, the mean absolute error, and the deviation of what is
    predicted.
    """
    from scipy.stats import spearmanr

    number_N = np.arange(len(recorded.points))
    predicted_N = np.zeros(len(number_N))
    for fold in range(folds):
        inside_N = number_N % folds != fold
        part = Recorded(
            points=tuple(point for point, is_in in zip(recorded.points, inside_N, strict=True) if is_in),
            values_NE=recorded.values_NE[inside_N],
            seconds_NE=recorded.seconds_NE[inside_N],
        )
        surrogate = Surrogate(space, part)
        for number in number_N[~inside_N]:
            predicted_N[number] = surrogate.curve(recorded.points[number])[0][-1]
    true_N = recorded.values_NE[:, -1]
    return {
        "rank_correlation": float(spearmanr(true_N, predicted_N).statistic),
        "mean_error": float(np.abs(true_N - predicted_N).mean()),
        "deviation": float(true_N.std()),
    }


def _columns(space: SearchSpace) -> list[tuple[str, Value | None, bool]]:
    """Name, option of a choice, and whether the dimension is logarithmic."""
    columns: dict[tuple[str, Value | None], bool] = {}
    for dimension in space.dimensions:
        if isinstance(dimension, Choice):
            columns.update({(dimension.name, option): False for option in dimension.options})
        else:
            columns[dimension.name, None] = dimension.log
    return [(name, option, log) for (name, option), log in columns.items()]


def _feature(point: Point, name: str, option: Value | None, log: bool) -> float:
    """Minus 20 where the dimension does not exist: below all that any has."""
    if option is not None:
        return float(point.get(name) == option)
    if name not in point:
        return -20.0
    value = float(point[name])
    return math.log10(value) if log else value
