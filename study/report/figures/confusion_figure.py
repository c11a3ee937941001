"""Confusion matrices: of one model, and the difference of two."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from study.report.figures.palette import DIVERGING, SEQUENTIAL, framed
from study.report.figures.picture import Picture, Table, label

# K classes

MOST_NUMBERED = 20
"""Beyond so many classes no cell has its number."""
MOST_NAMED = 45
MOST_CLASSES = 100
"""Beyond so many, only those with the most mistakes are drawn."""
NUM_DRAWN = 40
NUM_PAIRS = 15


def confusion_picture(confusion_KK: NDArray[np.int64], classes: Sequence[str], whose: str) -> Picture:
    """Images by true class (rows) and predicted class, shaded by the share of the true class."""
    shares_KK = _shares(confusion_KK)
    drawn = _drawn(confusion_KK)
    figure = _heatmap(
        100 * shares_KK[np.ix_(drawn, drawn)],
        [classes[index] for index in drawn],
        texts=[[f"{count}" for count in row] for row in confusion_KK[np.ix_(drawn, drawn)]],
        hovers=[
            [
                f"{label(classes[true])} taken for {label(classes[said])}: {confusion_KK[true, said]} "
                f"({shares_KK[true, said]:.1%})"
                for said in drawn
            ]
            for true in drawn
        ],
        colorscale=SEQUENTIAL,
        ends=(0, 100),
        bar="% of the<br>true class",
    )
    pairs = _pairs(confusion_KK)
    right = int(np.trace(confusion_KK))
    most = (
        f" Most often {classes[pairs[0][0]]} is taken for {classes[pairs[0][1]]}: "
        f"{'once' if confusion_KK[pairs[0]] == 1 else f'{confusion_KK[pairs[0]]} times'}."
        if pairs
        else ""
    )
    return Picture(
        figure=figure,
        title="Confusion matrix",
        caption=(
            f"{whose}: {right:,} of {int(confusion_KK.sum()):,} images are right, on the diagonal. Rows are "
            f"true classes, columns predicted ones.{most}{_left_out(len(drawn), len(classes))}"
        ),
        table=Table(
            caption="The pairs of classes that are confused most",
            columns=("true class", "taken for", "images", "of the class"),
            rows=tuple(
                (classes[true], classes[said], str(confusion_KK[true, said]), f"{shares_KK[true, said]:.1%}")
                for true, said in pairs
            ),
        ),
        least_width=_least_width(len(drawn)),
    )


def difference_picture(
    winner_KK: NDArray[np.int64], champion_KK: NDArray[np.int64], classes: Sequence[str], whose: str
) -> Picture:
    """Percentage points by which the winner takes a class for another one more often than the champion."""
    points_KK = 100 * (_shares(winner_KK) - _shares(champion_KK))
    drawn = _drawn(np.abs(winner_KK - champion_KK))
    end = max(float(np.abs(points_KK).max()), 1.0)
    figure = _heatmap(
        points_KK[np.ix_(drawn, drawn)],
        [classes[index] for index in drawn],
        texts=[
            [f"{value:+.1f}" if value else "" for value in row] for row in points_KK[np.ix_(drawn, drawn)]
        ],
        hovers=[
            [
                f"{label(classes[true])} taken for {label(classes[said])}: "
                f"{points_KK[true, said]:+.1f} points"
                for said in drawn
            ]
            for true in drawn
        ],
        colorscale=DIVERGING,
        ends=(-end, end),
        bar="points",
    )
    diagonal = np.diag(points_KK)
    rows = [(int(index), float(diagonal[index])) for index in np.argsort(-np.abs(diagonal), kind="stable")]
    return Picture(
        figure=figure,
        title="Difference to the champion",
        caption=(
            f"{whose}: percentage points of the true class, on the same images. On the "
            "diagonal more is better, elsewhere less. "
            f"{sum(value > 0 for _, value in rows)} of {len(classes)} classes are recognised more "
            f"often, {sum(value < 0 for _, value in rows)} less often."
            f"{_left_out(len(drawn), len(classes))}"
        ),
        table=Table(
            caption="Recall of each class, against the champion",
            columns=("class", "difference in points"),
            rows=tuple((classes[index], f"{value:+.1f}") for index, value in rows[:NUM_DRAWN]),
        ),
        least_width=_least_width(len(drawn)),
    )


def _heatmap(
    values: NDArray[np.float64],
    classes: Sequence[str],
    *,
    texts: list[list[str]],
    hovers: list[list[str]],
    colorscale: object,
    ends: tuple[float, float],
    bar: str,
) -> go.Figure:
    num = len(classes)
    figure = framed(height=min(max(300, 150 + 34 * num), 760), x="predicted class", y="true class")
    figure.add_heatmap(
        z=np.round(values, 2).tolist(),
        text=texts,
        texttemplate="%{text}" if num <= MOST_NUMBERED else None,
        hovertext=hovers,
        hoverinfo="text",
        colorscale=colorscale,
        zmin=ends[0],
        zmax=ends[1],
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": bar}, "thickness": 12, "outlinewidth": 0},
    )
    is_named = num <= MOST_NAMED
    # By place, not by name: two classes may look alike once their markup is gone.
    ticks = {"tickvals": list(range(num)), "ticktext": [label(name, 18) for name in classes]}
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(showticklabels=is_named, showgrid=False, ticks="", **ticks)
    figure.update_xaxes(tickangle=-45 if max(map(len, classes)) > 2 else 0)
    figure.update_yaxes(autorange="reversed")
    return figure


def _shares(confusion_KK: NDArray[np.int64]) -> NDArray[np.float64]:
    shares_KK: NDArray[np.float64] = confusion_KK / np.maximum(confusion_KK.sum(1, keepdims=True), 1)
    return shares_KK


def _drawn(confusion_KK: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes that are drawn, in their order."""
    num = len(confusion_KK)
    if num <= MOST_CLASSES:
        return np.arange(num)
    wrong_KK = confusion_KK - np.diag(np.diag(confusion_KK))
    worst = np.argsort(-(wrong_KK.sum(0) + wrong_KK.sum(1)), kind="stable")[:NUM_DRAWN]
    return np.sort(worst)


def _pairs(confusion_KK: NDArray[np.int64]) -> list[tuple[int, int]]:
    wrong_KK = confusion_KK - np.diag(np.diag(confusion_KK))
    order = np.argsort(-wrong_KK, axis=None, kind="stable")[:NUM_PAIRS]
    found = [divmod(int(index), len(confusion_KK)) for index in order]
    return [pair for pair in found if wrong_KK[pair]]


def _least_width(num: int) -> int:
    return min(200 + 34 * num, 640) if num > 4 else 0


def _left_out(num_drawn: int, num: int) -> str:
    return "" if num_drawn == num else f" Drawn are the {num_drawn} of {num} classes with the most mistakes."
