"""What `study show NAME --timeline` prints."""

import json
from collections.abc import Sequence

from study.cli.reports.terminal import Column, console, print_table
from study.results.study_result import StudyResult
from study.results.time_spent import Spent, TimeSpent
from study.safe_console import literal
from trainables.training.stopwatch import SPANS, TRAINING

BAR = 30
"""Characters of a share of 1."""
MAX_ROWS = 15
SHORT = 0.05
"""Seconds below which a span has no line."""


def print_time_spent(result: StudyResult, *, as_json: bool = False, show_all: bool = False) -> None:
    """Where the time of all processes went, that of each process, and with `show_all` that of each training;
    then what to do about it.
    """
    spent = TimeSpent.of(result)
    if as_json:
        print(json.dumps(spent.to_dict(), indent=2))
        return
    out = console()
    num = len(spent.processes)
    out.print(
        f"\n[bold]{result.spec.study}[/] on {result.spec.dataset}: where the time of {num} trial "
        f"process{'' if num == 1 else 'es'} went\n"
    )
    if spent.processes:
        print_table(out, _span_columns(spent.whole))
        out.print()
        shown = spent.processes if show_all else spent.processes[:MAX_ROWS]
        print_table(out, _columns("process", shown), show_all=show_all)
        if len(shown) < num:
            out.print(f"[dim]… and {num - len(shown)} more processes (--all shows them)[/]")
        if show_all:
            out.print()
            print_table(out, _columns("training", spent.trainings), show_all=True)
        out.print()
    for sentence in (spent.sentence, spent.remark):
        if sentence is not None:
            out.print(literal(sentence), soft_wrap=not out.is_terminal)


def _span_columns(whole: Spent) -> list[Column]:
    spans = [span for span in SPANS if whole.seconds.get(span, 0.0) >= SHORT]
    each = [(span, whole.seconds[span], whole.share(span)) for span in spans]
    return [
        Column("time", [*spans, "all"]),
        Column("seconds", [f"{seconds:9,.1f}" for _, seconds, _ in each] + [f"{whole.total:9,.1f}"]),
        Column("share", [f"{share:5.0%}" for _, _, share in each] + [""]),
        Column("", ["█" * round(share * BAR) for _, _, share in each] + [""], rank=1),
    ]


def _columns(title: str, rows: Sequence[Spent]) -> list[Column]:
    """One row for each process or training."""
    parts = {
        "start": ("start",),
        "data": ("data",),
        "training": TRAINING,
        "validation": ("validation",),
        "weights": ("weights",),
        "logging": ("logging",),
        "idle": ("idle",),
        "lost": ("lost",),
    }
    ranks = {"data": 2, "logging": 3, "weights": 1}
    columns = [Column(title, [one.name for one in rows])]
    if title == "process":
        columns.append(Column("trials", [f"{len(one.trainings):6}" for one in rows], rank=4))
    columns.append(Column("seconds", [f"{one.total:7,.0f}" for one in rows]))
    return columns + [
        Column(name, [f"{one.share(*spans):{len(name)}.0%}" for one in rows], rank=ranks.get(name, 0))
        for name, spans in parts.items()
        if name != "lost" or any(one.seconds.get("lost", 0.0) >= SHORT for one in rows)
    ]
