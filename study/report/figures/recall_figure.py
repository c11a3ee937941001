"""The recall of each class with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.evaluation.test_result import Interval
from study.report.figures.palette import BLUE, GRAY, MIN_HEIGHT, ORANGE, ROW, framed
from study.report.figures.picture import Picture, Table, label

MOST_ROWS = 40


@dataclass(frozen=True, kw_only=True)
class ClassRecall:
    """Of one class."""

    name: str
    recall: Interval | None
    """None where the split has no image of it."""
    num_images: int
    champion: float | None = None
    """Recall of the champion on the same images, where there is one to compare with."""


def recall_picture(classes: Sequence[ClassRecall], whose: str) -> Picture:
    """The share of each class that is recognised, the worst class first."""
    known = sorted(
        ((one, one.recall) for one in classes if one.recall is not None), key=lambda row: row[1].value
    )
    shown = known[:MOST_ROWS]
    figure = framed(height=max(MIN_HEIGHT, 100 + ROW * len(shown)), x="recall", y="")
    places = list(range(len(shown)))
    figure.add_scatter(
        x=[recall.value for _, recall in shown],
        y=places,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [recall.high - recall.value for _, recall in shown],
            "arrayminus": [recall.value - recall.low for _, recall in shown],
            "color": BLUE,
            "thickness": 2,
            "width": 4,
        },
        mode="markers",
        name="recall, 95 % interval",
        marker={"color": BLUE, "size": 9},
        text=[
            f"{label(one.name)}: {recall.value:.1%} ({recall.low:.1%} to {recall.high:.1%}) of "
            f"{one.num_images:,} images"
            for one, recall in shown
        ],
        hoverinfo="text",
    )
    if any(one.champion is not None for one, _ in shown):
        figure.add_scatter(
            x=[one.champion for one, _ in shown],
            y=places,
            mode="markers",
            name="champion",
            marker={"color": ORANGE, "symbol": "diamond-open", "size": 9, "line": {"width": 2}},
            text=[f"{label(one.name)}, champion: {one.champion or 0:.1%}" for one, _ in shown],
            hoverinfo="text",
        )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(
        tickvals=places,
        ticktext=[label(one.name, 20) for one, _ in shown],
        range=[len(shown) - 0.4, -0.6],
        showgrid=True,
    )
    figure.add_vline(
        x=sum(recall.value for _, recall in known) / max(len(known), 1), line={"color": GRAY, "dash": "dot"}
    )
    worst = "" if not known else f" The worst is {known[0][0].name}, with {known[0][1].value:.1%}."
    return Picture(
        figure=figure,
        title="Recall of each class",
        caption=(
            f"{whose}: the share of each class's images that is recognised, the worst class first; the "
            f"dotted line is the mean.{worst}"
            + (f" Drawn are the {len(shown)} worst of {len(known)}." if len(known) > len(shown) else "")
        ),
        table=Table(
            caption="Recall of each class",
            columns=("class", "recall", "95 % interval", "images", "champion"),
            rows=tuple(
                (
                    one.name,
                    "" if one.recall is None else f"{one.recall.value:.2%}",
                    "" if one.recall is None else f"{one.recall.low:.2%} to {one.recall.high:.2%}",
                    f"{one.num_images:,}",
                    "" if one.champion is None else f"{one.champion:.2%}",
                )
                for one in classes
            ),
        ),
    )
