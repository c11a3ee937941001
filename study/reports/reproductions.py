"""The table of reproductions, on the terminal and in Markdown."""

import json
from typing import Any

from rich.table import Table

from study.reports.terminal import console
from study.reproduction import Reproduction, Reproductions


def print_reproductions(made: Reproductions, *, as_json: bool = False) -> None:
    """The table of reproductions, and what could not run."""
    if as_json:
        print(json.dumps([reproduction_dict(reproduction) for reproduction in made.done], indent=2))
        return
    out = console()
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for reproduction in made.done:
        table.add_row(*_cells(reproduction))
    out.print()
    out.print(table)
    for reproduction in made.done:
        if reproduction.not_rebuilt:
            out.print(f"[dim]{reproduction.recipe}: {reproduction.not_rebuilt}[/]")
    for name, reason in made.not_run.items():
        out.print(f"[yellow]not run[/]  {name}: {reason}")


def markdown_table(made: Reproductions) -> str:
    """The same table in Markdown."""
    rows = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_cells(reproduction) for reproduction in made.done)]
    notes = [f"{reproduction.recipe}: {reproduction.not_rebuilt}" for reproduction in made.done if reproduction.not_rebuilt]
    notes += [f"{name} was not run: {reason}" for name, reason in made.not_run.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n" + "".join(f"\n{note}\n" for note in notes)


def reproduction_dict(reproduction: Reproduction) -> dict[str, Any]:
    """Plain values for JSON."""
    return {**vars(reproduction), "mean": reproduction.mean, "interval": reproduction.interval, "verdict": reproduction.verdict}


_COLUMNS = ("recipe", "measure", "stated", "obtained on test", "95 % interval", "seeds", "validation", "verdict", "scaled down to")


def _cells(reproduction: Reproduction) -> tuple[str, ...]:
    interval = reproduction.interval
    return (
        reproduction.recipe,
        reproduction.metric.replace("_", " "),
        "" if reproduction.stated is None else f"{reproduction.stated:.2%}",
        f"{reproduction.mean:.2%}",
        "" if interval is None else f"{interval[0]:.2%} to {interval[1]:.2%}",
        str(len(reproduction.values)),
        f"{sum(reproduction.validation) / len(reproduction.validation):.2%}",
        reproduction.verdict,
        ", ".join(reproduction.scaled_down),
    )
