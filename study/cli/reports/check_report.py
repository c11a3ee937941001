"""What `study check` prints: what a person decides, what it will take, and what to think of first."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding

from search_spaces.dimensions import Choice, Dimension
from study.cli.reports.study_tables import print_words
from study.cli.reports.terminal import Column, console, print_table
from study.disk_space import size_text
from study.execution.image_placement import ImagePlacement
from study.number_text import number_text
from study.planning.earlier_starts import earlier_sentences
from study.planning.frozen_layers import frozen_layers_text
from study.planning.plan import Plan
from study.quote.amount import Range, range_text
from study.quote.cautions import Caution
from study.quote.quote import Quote, QuotedShape
from study.quote.sentence import quote_sentence, source_sentences
from study.safe_console import literal
from study.search.sampling.enumeration import options_of

MOST_DIMENSIONS, MOST_SHAPES, MOST_FIXED, MOST_CHARACTERS = 12, 8, 8, 46
"""Rows of tables, fixed values in a line, and characters of a range that a person is shown unasked."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A study file that was found to be in order, with all that is known before it runs."""

    plan: Plan
    file: Path
    quote: Quote
    cautions: tuple[Caution, ...]
    remarks: tuple[str, ...]
    """Further sentences on what to beware of."""
    placement: ImagePlacement | None


def print_check(check: Check, *, as_json: bool = False, show_all: bool = False) -> None:
    """The study, what it searches, what it will take, and what to think of.

    `show_all` prints all dimensions, fixed values and architectures.
    """
    if as_json:
        print(json.dumps(_to_dict(check), indent=2))
        return
    out, plan = console(), check.plan
    _print_heading(out, plan)
    out.print()
    _print_space(out, plan, show_all=show_all)
    for sentence in _starts(plan):
        out.print(sentence, highlight=False)
    out.print()
    _print_quote(out, check, show_all=show_all)
    _print_cautions(out, check)
    is_there = check.quote.site.is_cluster
    following = "study submit, with the same file" if is_there else f"study run {literal(check.file)}"
    out.print(f"\n[green]The study can run.[/]  Next: {following}")


def _print_heading(out: Console, plan: Plan) -> None:
    spec, manifest = plan.spec, plan.manifest
    out.print(
        f"[bold]{spec.study}[/] on {spec.dataset} ({manifest.splits['train'].num_images:,} training images "
        f"of {manifest.sizes}, {manifest.num_classes} classes)"
    )
    print_words(out, spec)
    wanted = ", ".join(objective.metric for objective in spec.objectives) + "".join(
        f", with {bound}" for bound in spec.constraints
    )
    out.print(
        f"search space {literal(spec.search_space)}, sampler {spec.sampler.rule}, early stopping "
        f"{spec.early_stopping.rule}, objective {wanted}"
    )


def _print_space(out: Console, plan: Plan, *, show_all: bool) -> None:
    searched = [one for one in plan.space.dimensions if not _is_fixed(one)]
    decided = {*plan.spec.narrow, *plan.spec.extend}
    ranked = sorted(searched, key=lambda one: one.name not in decided)[:MOST_DIMENSIONS]
    shown = searched if show_all else [one for one in searched if one in ranked]
    if shown:
        columns = [
            Column("searched", [one.name for one in shown]),
            Column("range", [str(one) if show_all else _short(one) for one in shown]),
        ]
        if any(one.when for one in shown):
            columns.append(Column("exists when", [_conditions(one) for one in shown], rank=1))
        if show_all:
            columns.append(Column("", [one.about for one in shown], rank=2))
        print_table(out, columns, show_all=show_all)
    if len(shown) < len(searched):
        out.print(
            f"[dim]… and {len(searched) - len(shown)} more, as the space has them (--all shows them)[/]"
        )
    if fixed := _fixed(plan):
        kept = list(fixed.items()) if show_all else list(fixed.items())[:MOST_FIXED]
        listed = ", ".join(f"{name} {literal(value)}" for name, value in kept)
        more = f" and {len(fixed) - len(kept)} more" if len(kept) < len(fixed) else ""
        out.print(f"fixed: {listed}{more}")


def _print_quote(out: Console, check: Check, *, show_all: bool) -> None:
    plan, quote = check.plan, check.quote
    out.print(f"[bold]{literal(quote_sentence(quote))}[/]", highlight=False)
    for sentence in source_sentences(quote):
        out.print(f"[dim]{literal(sentence)}[/]", highlight=False)
    for remark in plan.remarks:
        out.print(f"[yellow]{literal(remark)}[/]")
    if plan.fold_sizes:
        out.print(_folds_text(plan))
    if check.placement is not None:
        out.print(_placement_text(check.placement))
    frozen = frozen_layers_text(check.plan)
    if frozen is not None:
        out.print(literal(frozen), highlight=False)
    if quote.shapes:
        out.print()
        _print_shapes(out, quote, show_all=show_all)


def _print_shapes(out: Console, quote: Quote, *, show_all: bool) -> None:
    rows = [(one,) for one in quote.shapes] if show_all else _by_architecture(quote.shapes)
    shown = rows if show_all else rows[:MOST_SHAPES]
    print_table(
        out,
        [
            Column("architecture", [row[0].architecture for row in shown]),
            Column("px", [_span([one.image_size for one in row]) for row in shown]),
            Column(
                "batch", [_span([size for one in row for size in one.batch_sizes]) for row in shown], rank=2
            ),
            Column("an epoch", [range_text(_spanned(row)) for row in shown]),
            Column("memory", [_memory_text(row) for row in shown], rank=1),
            Column("", [_source(row) for row in shown], rank=3),
        ],
        show_all=show_all,
    )
    if len(shown) < len(rows):
        out.print(f"[dim]… and {len(rows) - len(shown)} more architectures (--all shows them)[/]")


def _by_architecture(shapes: Sequence[QuotedShape]) -> list[tuple[QuotedShape, ...]]:
    found: dict[str, tuple[QuotedShape, ...]] = {}
    for shape in shapes:
        found[shape.architecture] = (*found.get(shape.architecture, ()), shape)
    return list(found.values())


def _spanned(row: Sequence[QuotedShape]) -> Range:
    return Range(
        low=min(one.epoch_seconds.low for one in row),
        expected=row[0].epoch_seconds.expected,
        high=max(one.epoch_seconds.high for one in row),
    )


def _memory_text(row: Sequence[QuotedShape]) -> str:
    most = max((one.memory_bytes or 0 for one in row), default=0)
    return size_text(most) if most else ""


def _source(row: Sequence[QuotedShape]) -> str:
    is_measured = {one.is_measured for one in row}
    return "partly inferred" if len(is_measured) == 2 else "measured" if True in is_measured else "inferred"


def _print_cautions(out: Console, check: Check) -> None:
    if check.cautions or check.remarks:
        out.print("\n[bold]Think of[/]")
    for caution in check.cautions:
        out.print(f"[yellow]{literal(caution.sentence)}[/]", highlight=False)
        out.print(Padding(f"→ {literal(caution.way_out)}", (0, 0, 0, 2)), highlight=False)
    for remark in check.remarks:
        out.print(f"[yellow]{literal(remark)}[/]", highlight=False)


def _starts(plan: Plan) -> list[str]:
    sentences = []
    for start in plan.starts[: len(plan.starts) - len(plan.earlier.used)]:
        changed = ", ".join(f"{name} (recipe: {literal(value)})" for name, value in start.overridden.items())
        sentences.append(
            f"starts from [bold]{literal(start.origin)}[/]"
            + (f", where the study fixes {changed}" if changed else "")
        )
    return [*sentences, *map(literal, earlier_sentences(plan.earlier))]


def _placement_text(placement: ImagePlacement) -> str:
    size, room = size_text(placement.image_bytes), size_text(placement.room_bytes)
    images = f"images of {placement.configuration}: {size}"
    if placement.images_per_second is None:
        return f"{images}, in a trial's memory (room for {room} on this machine)"
    return (
        f"{images}, more than the {room} that a trial has room for on this machine: streamed from the disk, "
        f"{placement.images_per_second:,.0f} images/s measured without training"
    )


def _folds_text(plan: Plan) -> str:
    least, most, num = min(plan.fold_sizes), max(plan.fold_sizes), len(plan.fold_sizes)
    sizes = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return (
        f"each trial trains {num} networks, validated on {num} folds of {sizes} images of train and "
        "validation; its values are means over folds"
    )


def _is_fixed(dimension: Dimension) -> bool:
    options = options_of(dimension)
    return options is not None and len(options) == 1


def _fixed(plan: Plan) -> dict[str, str]:
    """The values of fixed dimensions, those that the study file fixes first."""
    values: dict[str, str] = {}
    for one in plan.space.dimensions:
        if _is_fixed(one):
            values.setdefault(one.name, number_text((options_of(one) or ("",))[0]))
    return {name: values[name] for name in sorted(values, key=lambda name: name not in plan.spec.fix)}


def _conditions(dimension: Dimension) -> str:
    return " and ".join(f"{name} is {condition}" for name, condition in dimension.when.items())


def _short(dimension: Dimension) -> str:
    """Its range, where it is long without the options in its middle."""
    text = str(dimension)
    if len(text) <= MOST_CHARACTERS or not isinstance(dimension, Choice):
        return text
    kept = ""
    for option in map(str, dimension.options):
        if len(kept) + len(option) > MOST_CHARACTERS - 10:
            break
        kept += f"{option} | "
    return f"{kept}… ({len(dimension.options)} in all)"


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _to_dict(check: Check) -> dict[str, Any]:
    plan = check.plan
    spec = plan.spec
    return {
        "study": spec.study,
        "dataset": spec.dataset,
        "search_space": spec.search_space,
        "objectives": [objective.metric for objective in spec.objectives],
        "constraints": list(map(str, spec.constraints)),
        "sampler": spec.sampler.rule,
        "early_stopping": spec.early_stopping.rule,
        "dimensions": [
            {"name": one.name, "range": str(one), "exists_when": _conditions(one), "about": one.about}
            for one in plan.space.dimensions
        ],
        "starts": [{"origin": start.origin, "point": dict(start.point)} for start in plan.starts],
        "folds": list(plan.fold_sizes),
        "images_trained_at_most": plan.num_images_trained,
        "quote": {"sentence": quote_sentence(check.quote), **check.quote.to_dict()},
        "placement": None if check.placement is None else asdict(check.placement),
        "frozen_layers": frozen_layers_text(check.plan),
        "cautions": [asdict(caution) for caution in check.cautions],
        "remarks": [*plan.remarks, *earlier_sentences(plan.earlier), *check.remarks],
    }
