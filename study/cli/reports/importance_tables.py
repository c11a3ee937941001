"""What `study show NAME --importance` prints."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from study.analysis.effects import EFFECT_METHOD, Effect, EffectPoint, Marginals
from study.analysis.flat_effects import flat_sentence
from study.analysis.health import HealthCard, health_cards
from study.analysis.importance import Importance, Importances, importances
from study.analysis.summary import summary
from study.cli.reports.terminal import Column, console, print_table
from study.number_text import number_text
from study.results.study_result import StudyResult
from study.safe_console import literal

BAR = 10
"""Characters of a share of 1."""
DEPTH, GROUP = "freeze_depth", "architecture"


def print_importance(result: StudyResult, *, as_json: bool = False, show_all: bool = False) -> None:
    """The summary, how much each dimension mattered and where it is best, freeze depth by architecture, and
    what to beware of.
    """
    marginals = Marginals(result)
    found, cards = importances(result, marginals), health_cards(result, marginals)
    effects = {row.dimension: marginals.effects(row.dimension) for row in found.rows}
    by_group = marginals.effects(DEPTH, GROUP)
    told = summary(result, importance=found, cards=cards, marginals=marginals)
    flat = flat_sentence(found.rows, marginals)
    if as_json:
        print(json.dumps(_tree(result, found, effects, by_group, cards, told, flat), indent=2))
        return
    out, metric = console(), result.spec.objective.metric
    out.print(f"\n[bold]{result.spec.study}[/] on {result.spec.dataset}: what mattered for {metric}\n")
    for sentence in told:
        _print_sentence(out, sentence)
    out.print()
    if found.remark is None:
        print_table(
            out, _columns(found.rows, effects, metric, result.spec.objective.maximise), show_all=show_all
        )
        out.print("[dim]* more than chance gives; in brackets 95 % intervals[/]")
        if flat is not None:
            out.print()
            _print_sentence(out, flat)
    if by_group:
        groups = "" if by_group[0].group is None else " and architecture"
        out.print(f"\n[bold]{metric} by freeze depth{groups}[/], with 95 % intervals\n")
        print_table(out, _depth_columns(by_group), show_all=show_all)
    for card in cards:
        if card.is_warning:
            out.print(
                f"\n[yellow]{literal(card.title)}.[/] {literal(card.sentence)}", soft_wrap=_is_soft(out)
            )
            out.print(f"  {literal(card.way_out or '')}", soft_wrap=_is_soft(out))
    if found.remark is None:
        out.print(f"\n[dim]{literal(found.method)} {literal(EFFECT_METHOD)}[/]", soft_wrap=_is_soft(out))


def _print_sentence(out: Console, sentence: str) -> None:
    out.print(literal(sentence), soft_wrap=_is_soft(out))


def _is_soft(out: Console) -> bool:
    return not out.is_terminal


def _tree(
    result: StudyResult,
    found: Importances,
    effects: Mapping[str, Sequence[Effect]],
    by_group: Sequence[Effect],
    cards: Sequence[HealthCard],
    told: Sequence[str],
    flat: str | None,
) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "study": result.spec.study,
        "objective": result.spec.objective.metric,
        "summary": list(told),
        "importance": [
            {
                **asdict(row),
                "effect": [asdict(point) for one in effects[row.dimension] for point in one.points],
            }
            for row in found.rows
        ],
        "remark": found.remark,
        "large_share_and_flat_effect": flat,
        "freeze_depth_by_architecture": [asdict(one) for one in by_group],
        "health": [asdict(card) for card in cards],
        "method": found.method,
        "effect_method": EFFECT_METHOD,
    }


def _columns(
    rows: Sequence[Importance], effects: Mapping[str, Sequence[Effect]], metric: str, maximise: bool
) -> list[Column]:
    ends = [_ends(effects[row.dimension], maximise) for row in rows]
    return [
        Column("dimension", [row.dimension for row in rows]),
        Column("share", [f"{row.share:4.0%}{'*' if row.is_beyond_chance else ' '}" for row in rows]),
        Column("", [_bar(row.share) for row in rows], rank=2),
        Column("best at", ["" if pair is None else number_text(pair[0].value) for pair in ends]),
        Column(f"{metric} there", ["" if pair is None else _interval(pair[0]) for pair in ends]),
        Column("worst at", ["" if pair is None else number_text(pair[1].value) for pair in ends], rank=3),
        Column(f"{metric} at worst", ["" if pair is None else _interval(pair[1]) for pair in ends], rank=4),
        Column("trials", [str(row.num_trials) for row in rows], rank=5),
        Column("exists when", [row.exists_when or "" for row in rows], rank=6),
    ]


def _ends(found: Sequence[Effect], maximise: bool) -> tuple[EffectPoint, EffectPoint] | None:
    """The best and the worst point of the one curve there is."""
    if not found:
        return None
    ranked = sorted(found[0].points, key=lambda point: point.mean, reverse=maximise)
    return ranked[0], ranked[-1]


def _bar(share: float) -> str:
    return "█" * round(share * BAR)


def _interval(point: EffectPoint) -> str:
    return f"{point.mean:.3f} ({point.low:.3f} to {point.high:.3f})"


def _depth_columns(by_group: Sequence[Effect]) -> list[Column]:
    """One row for each depth; architectures with few trials go first where there is no room."""
    depths = sorted({float(point.value) for one in by_group for point in one.points})
    by_size = sorted(by_group, key=lambda one: -sum(point.num_trials for point in one.points))
    cells = {one.group: {float(point.value): _interval(point) for point in one.points} for one in by_group}
    return [
        Column("frozen", [number_text(depth) for depth in depths]),
        *(
            Column(
                one.group or "all architectures",
                [cells[one.group].get(depth, "") for depth in depths],
                rank=place,
            )
            for place, one in enumerate(by_size)
        ),
    ]
