"""What `study compare` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from study.analysis.side_by_side import Measured, StudyComparison, Win
from study.analysis.summary import duration
from study.cli.reports.terminal import Column, console, print_table
from study.number_text import number_text
from study.safe_console import literal
from trainables.printable import cut

MAX_SETTING = 26
"""Characters of a setting; --all shows all."""
FIRST = ("freeze_depth", "learning_rate", "augmentation_strength")
"""Dimensions that people ask for first."""


def print_comparison(found: StudyComparison, *, as_json: bool = False, show_all: bool = False) -> None:
    """The best of each study, the settings that differ, and which value of each dimension won where."""
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    out = console()
    out.print()
    for remark in found.remarks:
        out.print(f"[yellow]{literal(remark)}[/]", soft_wrap=not out.is_terminal)
    if found.remarks:
        out.print()
    print_table(out, _best_columns(found), show_all=show_all)
    if found.settings:
        out.print("\n[bold]settings that differ[/]\n")
        print_table(out, _setting_columns(found, show_all), show_all=show_all)
    undecided = [] if show_all else _undecided(found)
    rows = _win_rows(found, undecided)
    if rows:
        out.print("\n[bold]which value wins where[/], by the standing of trials within their study\n")
        print_table(out, _win_columns(rows), show_all=show_all)
        out.print(
            "[dim]standing: 1 for the best trial of the study, 0 for the worst; mean with its 95 % interval, "
            "other dimensions averaged over. ties with: values that the trials cannot tell from the winner[/]"
        )
    if undecided:
        out.print(f"\nno value is shown to win in any of them (--all lists them): {', '.join(undecided)}")


def _best_columns(found: StudyComparison) -> list[Column]:
    return [
        Column("study", [one.study for one in found.best]),
        Column("dataset", [one.dataset for one in found.best], rank=2),
        Column("objective", [one.objective for one in found.best]),
        Column("best", [f"{one.value:.4f}" for one in found.best]),
        Column("mean of further seeds", [_measured(one.confirmed, 4) for one in found.best], rank=4),
        Column("accuracy on test", [_percent(one.accuracy_on_test) for one in found.best], rank=1),
        Column("trials", [str(one.num_trials) for one in found.best], rank=3),
        Column("cost", [duration(one.seconds) for one in found.best]),
        Column(
            "on GPUs", [duration(one.gpu_seconds) if one.gpu_seconds else "" for one in found.best], rank=5
        ),
    ]


def _measured(value: Measured | None, digits: int) -> str:
    if value is None:
        return ""
    return f"{value.value:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def _percent(value: Measured | None) -> str:
    return "" if value is None else f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"


def _setting_columns(found: StudyComparison, show_all: bool) -> list[Column]:
    return [
        Column("key", list(found.settings)),
        *(
            Column(
                one.study,
                [row[place] if show_all else cut(row[place], MAX_SETTING) for row in found.settings.values()],
                rank=max(place - 1, 0),
            )
            for place, one in enumerate(found.best)
        ),
    ]


def _undecided(found: StudyComparison) -> list[str]:
    """Dimensions in which no study has a winner, but for those that people ask for first."""
    return [
        name
        for name, wins in found.wins.items()
        if name not in FIRST and not any(win is not None and win.is_beyond_chance for win in wins)
    ]


def _win_rows(found: StudyComparison, left_out: Sequence[str]) -> list[tuple[str, str, Win | None]]:
    """Dimension, study, winner; the dimension in its first row only."""
    named = [name for name in found.wins if name not in left_out]
    ordered = sorted(named, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return [
        (name if place == 0 else "", one.study, win)
        for name in ordered
        for place, (one, win) in enumerate(zip(found.best, found.wins[name], strict=True))
    ]


def _win_columns(rows: Sequence[tuple[str, str, Win | None]]) -> list[Column]:
    wins = [win for _, _, win in rows]
    return [
        Column("dimension", [name for name, _, _ in rows]),
        Column("study", [study for _, study, _ in rows]),
        Column("wins", [_winner(win) for win in wins]),
        Column("standing", [_standing(win) for win in wins]),
        Column("ties with", [_ties(win) for win in wins], rank=1),
    ]


def _winner(win: Win | None) -> str:
    if win is None:
        return "not tried"
    return number_text(win.value) if win.is_beyond_chance else "none shown"


def _standing(win: Win | None) -> str:
    if win is None or not win.is_beyond_chance:
        return ""
    return f"{win.mean:.2f} ({win.low:.2f} to {win.high:.2f})"


def _ties(win: Win | None) -> str:
    if win is None:
        return ""
    if not win.is_beyond_chance:
        return "all"
    numbers = [value for value in win.ties if not isinstance(value, str)]
    if len(numbers) > 3:
        return f"{number_text(min(numbers))} to {number_text(max(numbers))}"
    return ", ".join(map(number_text, win.ties))
