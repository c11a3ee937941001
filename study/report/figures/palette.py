"""Colours and the frame that all figures share.

The colours are those of Okabe & Ito (2008), which people of any colour vision tell apart, a shade darker
where they would be too pale on white. A state or a group has a shape of its own, too, so that no figure needs
its colours.
"""

from typing import Any, Final

import plotly.graph_objects as go

BLUE: Final = "#0072b2"
VERMILLION: Final = "#d55e00"
GREEN: Final = "#008f68"
PURPLE: Final = "#b8578c"
ORANGE: Final = "#b87a00"
SKY: Final = "#2a8fc7"
GRAY: Final = "#767676"
SERIES: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "x", "star")
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
DARK: Final = {
    BLUE: "#5ab4e8",
    VERMILLION: "#ff8f4d",
    GREEN: "#3ecf9f",
    PURPLE: "#e699c3",
    ORANGE: "#f0b429",
    SKY: "#9bd7f7",
    GRAY: "#9a9a9a",
}
"""What the page shows in place of each colour on a dark ground."""
RAISED: Final = "#f4f6f8"
"""The ground of small texts that lie over lines."""
_DARK_RAISED: Final = "#1d2127"
BANDS: Final = ("#c9b037", "#8a8779", "#51607d", "#00306f")
"""Of Cividis, from the worst quarter of trials to the best."""
_DARK_BANDS: Final = ("#4b5160", "#7d8193", "#c4b56c", "#fee838")
SEQUENTIAL: Final = "Cividis"
"""For shares from 0 to 1; made for people of any colour vision (arXiv:1712.01662)."""
DIVERGING: Final = (
    (0.0, "#b35806"),
    (0.25, "#f1a340"),
    (0.5, "#f7f7f7"),
    (0.75, "#67a9cf"),
    (1.0, "#2166ac"),
)
"""From less to more, with nothing in the middle."""
MIN_HEIGHT: Final = 220
ROW: Final = 24
"""Pixels of a row with a name in a figure of rows."""


def framed(*, height: int, x: str, y: str, **layout: Any) -> go.Figure:
    """An empty figure with the titles of its axes; the page gives it the colours of its ground."""
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        xaxis={"title": {"text": x, "standoff": 8}, "automargin": True, "zeroline": False},
        yaxis={"title": {"text": y, "standoff": 8}, "automargin": True, "zeroline": False},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        hovermode="closest",
        dragmode=False,
        **layout,
    )
    return figure


def faint(color: str, opacity: float) -> str:
    """The colour as one that lets the ground through."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def dark_colors() -> dict[str, str]:
    """What the page replaces on a dark ground: colours as they are written in figures, faint ones, too."""
    faints = (0.12, 0.15, 0.2, 0.3, 0.5)
    changed = {**DARK, **dict(zip(BANDS, _DARK_BANDS, strict=True)), RAISED: _DARK_RAISED}
    return changed | {
        faint(light, share): faint(dark, share) for light, dark in DARK.items() for share in faints
    }
