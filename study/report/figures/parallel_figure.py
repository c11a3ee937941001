"""Parallel coordinates: each trial as a line over the dimensions that matter.

Drawn with plain lines. Plotly's own parallel coordinates need WebGL and code that is made while it runs,
which the page's security policy forbids, and cannot be read by keyboard.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search_spaces.dimensions import Value
from study.number_text import number_text
from study.report.figures.palette import BANDS, RAISED, framed
from study.report.figures.picture import Picture, Shown, Table, label, value_text, words
from study.report.figures.trial_states import finite_value, trial_text
from study.results.study_result import StudyResult
from study.search.record.trial import Trial

MOST_DIMENSIONS = 8
MISSING = -0.12
"""Where a line passes that lacks the dimension."""
MOST_NAMED_OPTIONS = 12


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One vertical line."""

    title: str
    values: tuple[Value | None, ...]
    """By trial; None where the trial lacks the dimension."""
    ticks: tuple[tuple[float, str], ...]
    """Heights in [0, 1] with their texts."""
    heights: tuple[float, ...]
    """By trial."""


def parallel_picture(result: StudyResult, dimensions: Sequence[str]) -> Shown:
    """The trials with a value as lines over these dimensions, the objective last; the best quarter stands
    out.
    """
    trials = [trial for trial in result.leaderboard if finite_value(trial) is not None][::-1]
    varied = [name for name in dimensions if len({repr(trial.point.get(name)) for trial in trials}) > 1]
    shown = varied[:MOST_DIMENSIONS]
    if len(trials) < 3 or not shown:
        return "Parallel coordinates need three trials that differ in a dimension."
    metric = result.spec.objective.metric
    axes = [_axis(words(name), [trial.point.get(name) for trial in trials]) for name in shown]
    axes.append(_axis(words(metric), [finite_value(trial) for trial in trials], may_be_log=False))
    figure = framed(height=430, x="", y="")
    for band in range(len(BANDS)):
        first, last = len(trials) * band // len(BANDS), len(trials) * (band + 1) // len(BANDS)
        _add_lines(figure, trials[first:last], axes, first, band, metric)
    _add_axes(figure, axes)
    some = any(value is None for axis in axes for value in axis.values)
    best = trials[-1]
    return Picture(
        figure=figure,
        title="Parallel coordinates",
        caption=(
            f"Each line is a trial: it passes each dimension at its value, and ends at its "
            f"{metric.replace('_', ' ')}. Darker and thicker lines (brighter ones on a dark ground) are the "
            "better quarters."
            + (" Below an axis pass the trials without that dimension." if some else "")
            + (f" Shown are {len(shown)} of {len(varied)} dimensions." if len(varied) > len(shown) else "")
        ),
        table=Table(
            caption="The best ten trials in these dimensions",
            columns=("trial", *shown, metric),
            rows=tuple(
                (
                    trial_text(trial, metric).partition(":")[0],
                    *(number_text(trial.point.get(name)) for name in shown),
                    value_text(finite_value(trial)),
                )
                for trial in trials[:-11:-1]
            ),
        ),
        least_width=90 * len(axes) if best else 0,
    )


def _add_lines(
    figure: go.Figure, trials: Sequence[Trial], axes: Sequence[Axis], first: int, band: int, metric: str
) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for index, trial in enumerate(trials, start=first):
        for place, axis in enumerate(axes):
            x.append(place)
            y.append(axis.heights[index])
            texts.append(f"{trial_text(trial, metric)}<br>{axis.title}: {label(_text(axis.values[index]))}")
        x.append(None)
        y.append(None)
        texts.append("")
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=("worst quarter", "third quarter", "second quarter", "best quarter")[band],
        line={"color": BANDS[band], "width": (1, 1, 1.3, 2.2)[band]},
        opacity=(0.45, 0.45, 0.6, 0.95)[band],
        text=texts,
        hoverinfo="text",
    )


def _add_axes(figure: go.Figure, axes: Sequence[Axis]) -> None:
    for place, axis in enumerate(axes):
        figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, line={"color": "#767676", "width": 1}, layer="below"
        )
        for height, text in axis.ticks:
            figure.add_annotation(
                x=place,
                y=height,
                text=text,
                showarrow=False,
                xanchor="right" if place == len(axes) - 1 else "left",
                xshift=-4 if place == len(axes) - 1 else 4,
                font={"size": 11},
                bgcolor=RAISED,
                borderpad=1,
            )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[axis.title.replace(" ", "<br>", 1) for axis in axes],
        range=[-0.15, len(axes) - 0.85],
        showgrid=False,
        side="bottom",
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[MISSING - 0.05, 1.05], fixedrange=True)


def _axis(title: str, values: Sequence[Value | None], *, may_be_log: bool = True) -> Axis:
    known = [value for value in values if value is not None]
    numbers = [
        float(value) for value in known if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) < len(known):
        return _axis_of_options(title, values)
    low, high = min(numbers), max(numbers)
    is_log = may_be_log and low > 0 and high / low >= 20
    start, end = (math.log(low), math.log(high)) if is_log else (low, high)

    def height(value: float) -> float:
        return 0.5 if start == end else ((math.log(value) if is_log else value) - start) / (end - start)

    return Axis(
        title=title,
        values=tuple(values),
        ticks=((0.0, number_text(low)), (1.0, number_text(high)))
        if low < high
        else ((0.5, number_text(low)),),
        heights=tuple(MISSING if value is None else height(float(value)) for value in values),
    )


def _axis_of_options(title: str, values: Sequence[Value | None]) -> Axis:
    options = sorted({str(value) for value in values if value is not None})
    places = {option: index / max(len(options) - 1, 1) for index, option in enumerate(options)}
    return Axis(
        title=title,
        values=tuple(values),
        ticks=tuple((place, label(option, 16)) for option, place in places.items())
        if len(options) <= MOST_NAMED_OPTIONS
        else (),
        heights=tuple(MISSING if value is None else places[str(value)] for value in values),
    )


def _text(value: Value | None) -> str:
    return "not there" if value is None else number_text(value)
