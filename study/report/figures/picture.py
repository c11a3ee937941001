"""A picture: a figure, what it shows in words, and its numbers as a table for those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from study.number_text import number_text
from study.search.record.trial import Trial
from trainables.printable import cut, printable

LONGEST_NAME = 32
"""Characters of a name in a figure."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of plain text; the page escapes them."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure of a report."""

    figure: go.Figure
    title: str
    caption: str
    """What it shows, in plain text; also what a screen reader says in place of the figure."""
    table: Table
    method: str | None = None
    """How its numbers were come by, for those who ask."""
    least_width: int = 0
    """Pixels below which it is moved sideways rather than made smaller; 0 where it fits any page."""


Shown = Picture | str
"""A picture, or the sentence that says why there is none."""


def label(text: object, most: int = LONGEST_NAME) -> str:
    """A foreign name as a figure may show it: Plotly reads markup in its texts, so none is left in them."""
    return escape(cut(printable(str(text)), most), quote=False)


def words(name: str) -> str:
    """The name of a metric or a dimension as a title has it."""
    return label(name.replace("_", " "))


def value_text(value: float | None) -> str:
    """A score with four digits; nothing where there is none."""
    return "" if value is None else f"{value:.4f}"


def cells(*values: object) -> tuple[str, ...]:
    """A row of a table."""
    return tuple(value if isinstance(value, str) else number_text(value) for value in values)


def listed(values: Sequence[str], most: int = 8) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def varied(trials: Sequence[Trial]) -> list[str]:
    """Names of the dimensions that differ among the trials."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.point.items():
            seen.setdefault(name, set()).add(repr(value))
    return [name for name, values in seen.items() if len(values) > 1]
