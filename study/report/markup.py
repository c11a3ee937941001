"""HTML of the report's parts; every text that comes from elsewhere is escaped here."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from study.report.figures.picture import Picture, Table
from trainables.printable import cut, printable

LONGEST_TEXT = 2000


def text(value: object) -> str:
    """A foreign text for the content or an attribute of an element."""
    return escape(cut(printable(str(value)), LONGEST_TEXT))


def paragraph(value: object) -> str:
    """A sentence by itself."""
    return f"<p>{text(value)}</p>"


def sentence(value: str) -> str:
    """The text with a capital letter and a full stop."""
    value = value.strip()
    ended = value if value.endswith((".", "!", "?")) else f"{value}."
    return ended[:1].upper() + ended[1:]


def rows_html(table: Table) -> str:
    """A table that is moved sideways where the page is too narrow for it."""
    head = "".join(f'<th scope="col">{text(name.replace("_", " "))}</th>' for name in table.columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return (
        f'<div class="rows" tabindex="0" role="region" aria-label="{text(table.caption)}"><table>'
        f"<caption>{text(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(label: str, content: str) -> str:
    """What a person opens to see."""
    return f"<details><summary>{text(label)}</summary>{content}</details>"


def picture_html(picture: Picture, name: str, *, heading: bool = True) -> str:
    """A figure with its words and its table; `name` is its own on the page."""
    title = f"<h3>{text(picture.title)}</h3>" if heading else ""
    method = "" if picture.method is None else folded("How this is estimated", paragraph(picture.method))
    height = int(picture.figure.layout.height)  # kept free, so that nothing moves when it is drawn
    return (
        f"{title}<figure><figcaption>{text(picture.caption)}</figcaption>"
        f'<div class="sideways"><div class="plot" id="plot-{name}" data-figure="figure-{name}" tabindex="0" '
        f'role="application" aria-roledescription="chart" aria-label="{text(picture.title)}. '
        f'{text(picture.caption)} Arrow keys go from point to point." '
        f'style="min-height:{height}px;min-width:{picture.least_width}px"></div></div>'
        f'<script type="application/json" id="figure-{name}">{json_text(_figure(picture))}</script>'
        f"{folded('The numbers as a table', rows_html(picture.table))}{method}</figure>"
    )


def json_text(tree: Any) -> str:
    """JSON that stands inside a script element: nothing in it can end that element."""
    written = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def code(content: str) -> str:
    """Commands or files."""
    lines = "\n".join(map(printable, content.split("\n")))
    return f'<pre tabindex="0"><code>{escape(lines)}</code></pre>'


def listed_cells(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table of plain cells."""
    return rows_html(Table(caption=caption, columns=tuple(columns), rows=tuple(map(tuple, rows))))


def _cell(value: str) -> str:
    kind = ' class="long"' if len(value) > 60 else ""
    return f"<td{kind}><bdi>{text(value)}</bdi></td>"


def _figure(picture: Picture) -> Any:
    tree = json.loads(picture.figure.to_json())
    tree["layout"].pop("template", None)  # the page has its own, for either ground
    return {"data": tree["data"], "layout": tree["layout"]}
