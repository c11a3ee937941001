"""What `study gc` prints: by kind what goes and how much that is, or JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from pydantic import TypeAdapter

from study.cli.reports.terminal import console
from study.disk_space import size_text
from study.garbage.collection import Collected
from study.garbage.piece import KINDS
from study.safe_console import SafeConsole, literal

NUM_SHOWN = 5
"""Pieces of each kind, the largest first."""
_ROWS = TypeAdapter(list[Collected])


def print_collected(
    rows: Sequence[Collected],
    *,
    place: str,
    age: str,
    is_meant: bool,
    show_all: bool = False,
    as_json: bool = False,
) -> None:
    """The pieces by kind with their sums, and what to type next."""
    if as_json:
        print(json.dumps([asdict(one) for one in rows], indent=2))
        return
    out = console()
    for kind, meaning in KINDS.items():
        of_kind = [one for one in rows if one.kind == kind and one.failure is None]
        if of_kind:
            out.print(f"[bold]{meaning}[/]: {_sum(of_kind)}", soft_wrap=True)
            _print_pieces(out, of_kind, show_all=show_all)
    for one in rows:
        if one.failure is not None:
            out.print(
                f"[red]stays:[/] {KINDS[one.kind]}, {literal(one.where)}: {literal(one.failure)}",
                soft_wrap=True,
            )
    done = [one for one in rows if one.failure is None]
    if not done:
        out.print(f"nothing in {literal(place)} is older than {age} and needed by nobody", soft_wrap=True)
    elif is_meant:
        out.print(f"deleted: {_sum(done)}", soft_wrap=True)
    else:
        out.print(
            f"together: {_sum(done)}. Nothing was deleted.\nNext: study gc --older-than {age} --yes",
            soft_wrap=True,
        )


def read_rows(text: str) -> list[Collected]:
    """The rows that the JSON of another machine's `study gc` holds."""
    return _ROWS.validate_json(text)


def _print_pieces(out: SafeConsole, pieces: Sequence[Collected], *, show_all: bool) -> None:
    largest = sorted(pieces, key=lambda one: -(one.num_bytes or 0))
    shown = largest if show_all else largest[:NUM_SHOWN]
    width = max(len(one.where) for one in shown)
    for one in shown:
        size = "" if one.num_bytes is None else size_text(one.num_bytes)
        out.print(f"  {literal(one.where.ljust(width))}  {size:>9}  {literal(one.what)}", soft_wrap=True)
    if len(shown) < len(largest):
        out.print(f"  … and {len(largest) - len(shown)} more (--all shows them)")


def _sum(pieces: Iterable[Collected]) -> str:
    pieces = list(pieces)
    num_bytes = sum(one.num_bytes or 0 for one in pieces)
    size = f", {size_text(num_bytes)}" if any(one.num_bytes is not None for one in pieces) else ""
    return f"{len(pieces):,} piece{'' if len(pieces) == 1 else 's'}{size}"
