"""The marginal effect of one dimension on the objective, with its interval."""

import math
from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from search_spaces.dimensions import Value
from study.analysis.effects import Effect, EffectPoint, Marginals
from study.analysis.scored_trials import ScoredTrial
from study.analysis.summary import plain_number
from study.number_text import number_text
from study.report.figures.palette import DASHES, GRAY, SERIES, SYMBOLS, faint, framed
from study.report.figures.picture import Picture, Shown, Table, cells, label, words
from study.report.figures.trial_states import trial_text
from study.results.study_result import StudyResult

HEIGHT = 320
MOST_GROUPS = len(SERIES)
SMALL = 1e-3
"""Below it a number is read more easily as a power of ten."""


def effect_picture(
    result: StudyResult, dimension: str, marginals: Marginals, *, by: str | None = None
) -> Shown:
    """The mean of the objective over the values of a dimension with its 95 % interval, a curve for each
    group, and the trials themselves.
    """
    drawn = [effect for effect in marginals.effects(dimension, by) if effect.points][:MOST_GROUPS]
    if not drawn:
        return f"Too few trials differ in {dimension.replace('_', ' ')} to show its effect."
    metric = result.spec.objective.metric
    figure = framed(height=HEIGHT if by is None else 400, x=words(dimension), y=words(metric))
    is_text = any(isinstance(point.value, str) for effect in drawn for point in effect.points)
    for number, effect in enumerate(drawn):
        color = SERIES[number]
        name = "mean" if effect.group is None else label(effect.group)
        if is_text:
            _add_marks(figure, effect, name, number, len(drawn))
        else:
            _add_band(figure, effect, name, number)
        _add_trials(
            figure,
            result,
            marginals.trials,
            dimension,
            effect,
            by,
            color if len(drawn) > 1 else GRAY,
            is_text=is_text,
        )
    if is_text:
        order = list(dict.fromkeys(label(point.value) for effect in drawn for point in effect.points))
        ends = [-0.5, len(order) - 0.5]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, range=ends)
    elif _is_log([float(point.value) for point in drawn[0].points]):
        is_small = float(drawn[0].points[0].value) < SMALL
        ticks = {"dtick": 1 if _decades(drawn[0]) >= 2 else None, "tickformat": ".0e" if is_small else ".2~g"}
        figure.update_xaxes(type="log", **ticks)
    elif all(float(point.value).is_integer() for effect in drawn for point in effect.points):
        figure.update_xaxes(dtick=1 if _span(drawn[0]) <= 12 else None)
    figure.update_layout(showlegend=len(drawn) > 1)
    grouped = "" if by is None else f" by {by.replace('_', ' ')}"
    title = f"Effect of {dimension.replace('_', ' ')}{grouped}"
    return Picture(
        figure=figure,
        title=title,
        caption=_best_values(result, drawn, marginals),
        table=Table(
            caption=title,
            columns=(*(() if by is None else (by,)), dimension, f"mean {metric}", "95 % interval", "trials"),
            rows=tuple(
                (
                    *(() if by is None else (str(effect.group),)),
                    *cells(point.value, f"{point.mean:.4f}", f"{point.low:.4f} to {point.high:.4f}"),
                    str(point.num_trials),
                )
                for effect in drawn
                for point in effect.points
            ),
        ),
    )


def _add_band(figure: go.Figure, effect: Effect, name: str, number: int) -> None:
    color, points = SERIES[number], effect.points
    x = [point.value for point in points]
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*(point.high for point in points), *(point.low for point in points[::-1])],
        fill="toself",
        fillcolor=faint(color, 0.15),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=name,
    )
    figure.add_scatter(
        x=x,
        y=[point.mean for point in points],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": color, "width": 2, "dash": DASHES[number]},
        marker={"symbol": SYMBOLS[number], "size": 7},
        text=[_point_text(name, point) for point in points],
        hoverinfo="text",
    )


def _add_marks(figure: go.Figure, effect: Effect, name: str, number: int, num: int) -> None:
    points = effect.points
    figure.add_scatter(
        x=[label(point.value) for point in points],
        y=[point.mean for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.mean for point in points],
            "arrayminus": [point.mean - point.low for point in points],
            "thickness": 2,
            "width": 6,
        },
        mode="markers",
        name=name,
        legendgroup=name,
        offsetgroup=str(number) if num > 1 else None,
        marker={"color": SERIES[number], "symbol": SYMBOLS[number], "size": 10},
        text=[_point_text(name, point) for point in points],
        hoverinfo="text",
    )
    figure.update_layout(scattermode="group" if num > 1 else "overlay", scattergap=0.4)


def _add_trials(
    figure: go.Figure,
    result: StudyResult,
    trials: Sequence[ScoredTrial],
    dimension: str,
    effect: Effect,
    by: str | None,
    color: str,
    *,
    is_text: bool,
) -> None:
    """The trials with the values with which they count in the mean."""
    counted = [
        trial
        for trial in trials
        if dimension in trial.point and (by is None or str(trial.point.get(by)) == str(effect.group))
    ]
    if not counted:
        return
    name = "trials" if effect.group is None else label(effect.group)
    is_whole = [result.trials[trial.number].state == "complete" for trial in counted]
    figure.add_scatter(
        x=[label(trial.point[dimension]) if is_text else trial.point[dimension] for trial in counted],
        y=[trial.value for trial in counted],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={
            "color": faint(color, 0.5),
            "size": 5,
            "symbol": ["circle" if whole else "circle-open" for whole in is_whole],
        },
        text=[
            f"{trial_text(result.trials[trial.number], result.spec.objective.metric)}, "
            f"{label(_value_text(trial.point[dimension]))}"
            for trial in counted
        ],
        hoverinfo="text",
    )


def _value_text(value: Value) -> str:
    return value if isinstance(value, str) else number_text(float(value))


def _point_text(name: str, point: EffectPoint) -> str:
    value = label(point.value if isinstance(point.value, str) else number_text(float(point.value)))
    return (
        f"{name}, {value}: {point.mean:.4f} ({point.low:.4f} to {point.high:.4f}), {point.num_trials} trials"
    )


def how_to_read(result: StudyResult) -> str:
    """What an effect's picture shows, in a sentence or two."""
    return (
        f"The mean {result.spec.objective.metric.replace('_', ' ')} over the values of a dimension, all else "
        "averaged, with its 95 % interval. Small marks are trials; open ones were stopped early, and stand "
        "where they were heading."
    )


def _best_values(result: StudyResult, drawn: Sequence[Effect], marginals: Marginals) -> str:
    merit = result.spec.objective.merit
    at = "with" if any(isinstance(point.value, str) for point in drawn[0].points) else "at"
    gap = None if len(drawn) > 1 else marginals.gap(drawn[0].dimension, maximise=True)
    doubt = "" if gap is None or gap.low > 0 else ", but chance explains as large a difference"
    bests = []
    for effect in drawn:
        best = max(effect.points, key=lambda point: merit(point.mean))
        bests.append(f"{plain_number(best.value)}{'' if effect.group is None else f' for {effect.group}'}")
    return f"The mean is best {at} {'; '.join(bests)}{doubt}."


def _is_log(values: Sequence[float]) -> bool:
    """Whether values of a scale are spread evenly in their logarithms rather than in themselves."""
    ordered = sorted(set(values))
    if len(ordered) < 3 or ordered[0] <= 0:
        return False
    steps = [after - before for before, after in pairwise(ordered)]
    logs = [math.log(after / before) for before, after in pairwise(ordered)]
    return _spread(logs) < _spread(steps) and ordered[-1] / ordered[0] >= 8


def _spread(steps: Sequence[float]) -> float:
    return max(steps) / min(steps)


def _decades(effect: Effect) -> float:
    values = [float(point.value) for point in effect.points]
    return math.log10(max(values) / min(values))


def _span(effect: Effect) -> float:
    values = [float(point.value) for point in effect.points]
    return max(values) - min(values)
