"""What `study doctor` prints: one line for each finding, or JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from study.cli.reports.terminal import console
from study.doctor.finding import Finding
from study.safe_console import literal


@dataclass(frozen=True, kw_only=True)
class Treated:
    """A finding, and what came of it."""

    finding: Finding
    is_mended: bool = False
    failure: str | None = None
    """Why it could not be mended; None where nobody tried, or it was."""


def print_treated(treated: Sequence[Treated], *, place: str, as_json: bool = False) -> None:
    """The findings, what mending does or did, and what to type next."""
    if as_json:
        print(json.dumps([_row(one) for one in treated], indent=2))
        return
    out = console()
    for one in treated:
        out.print(f"[bold]{literal(one.finding.where)}[/]: {_sentence(one)}", soft_wrap=not out.is_terminal)
    if not treated:
        out.print(f"nothing is wrong in {literal(place)}", soft_wrap=True)
        return
    num_mended = sum(one.is_mended for one in treated)
    num_mendable = sum(one.finding.mend is not None and not one.is_mended for one in treated)
    summary = f"\n{len(treated)} finding{'' if len(treated) == 1 else 's'}"
    if num_mended:
        summary += f", {num_mended} of them mended"
    elif num_mendable:
        summary += f"; {num_mendable} of them can be mended.  Next: study doctor --mend"
    out.print(summary, soft_wrap=True)


def _sentence(treated: Treated) -> str:
    finding = treated.finding
    if treated.failure is not None:
        return f"{literal(finding.what)}; [red]not mended:[/] {literal(treated.failure)}"
    if not finding.mending:
        return literal(finding.what)
    how = literal(finding.mending)
    if treated.is_mended:
        return f"{literal(finding.what)}; [green]mended:[/] {how}"
    return f"{literal(finding.what)}; {'[yellow]--mend[/] ' if finding.mend is not None else ''}{how}"


def _row(treated: Treated) -> dict[str, object]:
    finding = treated.finding
    return {
        "where": finding.where,
        "what": finding.what,
        "mending": finding.mending,
        "can_mend": finding.mend is not None,
        "mended": treated.is_mended,
        "failure": treated.failure,
    }
