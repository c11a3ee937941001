"""The table of reproductions, on the terminal."""

import json

from rich.table import Table

from study.cli.reports.terminal import console
from study.results.reproduction import Reproductions
from study.results.reproduction_table import COLUMNS, cells, reproduction_dict
from study.safe_console import literal


def print_reproductions(reproductions: Reproductions, *, as_json: bool = False) -> None:
    """The table of reproductions, and what could not run."""
    if as_json:
        print(json.dumps([reproduction_dict(reproduction) for reproduction in reproductions.done], indent=2))
        return
    out = console()
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for reproduction in reproductions.done:
        table.add_row(*cells(reproduction))
    out.print()
    out.print(table)
    for reproduction in reproductions.done:
        if reproduction.not_rebuilt:
            out.print(f"[dim]{reproduction.recipe}: {reproduction.not_rebuilt}[/]")
    for name, reason in reproductions.not_run.items():
        out.print(f"[yellow]not run[/]  {name}: {literal(reason)}")
