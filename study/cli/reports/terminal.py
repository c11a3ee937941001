"""Where results are printed, and tables that fit there."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.errors import SpecError
from study.safe_console import SafeConsole
from trainables.printable import printable

_GAP = 2


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    cells: Sequence[str]
    rank: int = 0
    """0 for a column that is always shown; of the others those of the highest rank go first where there is no
    room."""

    @property
    def width(self) -> int:
        """In characters of the terminal."""
        return max(map(cell_len, (self.title, *self.cells)))


def console() -> SafeConsole:
    """The terminal's stdout; wide where it is a pipe, as tables must not be folded at 80 characters there."""
    out = SafeConsole(highlight=False)
    return out if out.is_terminal else SafeConsole(highlight=False, width=200)


def check_is_meant(command: str, what: str, consequence: str) -> None:
    """Asks a person whether `what` shall be removed, and ends the program otherwise.

    Raises SpecError where nobody can answer.
    """
    if not sys.stdin.isatty():
        raise SpecError(f"{command} would remove {what}; add --yes")
    if not typer.confirm(f"Remove {what}? {consequence}"):
        raise typer.Exit(1)


def check_all_are_meant(command: str, verb: str, what: str) -> None:
    """Asks a person whether `what` was listed shall be stopped or the like, and ends the program otherwise.

    Raises SpecError where nobody can answer.
    """
    if not sys.stdin.isatty():
        raise SpecError(f"{command} would {verb} {what}; add --yes")
    if not typer.confirm(f"{verb.capitalize()} {what}?"):
        raise typer.Exit(1)


def print_table(out: Console, columns: Sequence[Column], *, show_all: bool = False) -> None:
    """A table whose cells are never cut: columns that do not fit are left out, and a line names them.

    `show_all` prints all columns, however wide.
    """
    shown = list(columns) if show_all else _fitting(columns, out.width)
    table = Table(box=None, pad_edge=False)
    for column in shown:
        table.add_column(Text(column.title), no_wrap=True)
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*(Text(printable(cell)) for cell in row))
    out.width = max(out.width, _width(shown))
    out.print(table)
    hidden = [column.title for column in columns if column not in shown]
    if hidden:
        out.print(f"[dim]not shown for want of room: {', '.join(hidden)} (--all shows them)[/]")


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    shown = list(columns)
    for column in sorted(columns, key=lambda column: -column.rank):
        if column.rank == 0 or _width(shown) <= width:
            break
        shown.remove(column)
    return shown


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)
