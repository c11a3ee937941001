"""A study's final result on the terminal: confirmed configurations, test results, versions."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from study.evaluation.final_result import Candidate, Confirmed, FinalResult
from study.evaluation.test_result import Calibration, ClassResult, Interval
from study.names import candidate_name, trial_name
from study.number_text import number_text
from study.safe_console import literal
from trainables.metrics.classification import RANGES

MAX_CLASSES = 12
"""Beyond so many, the classes with the lowest recall are shown."""
_SHARES = ("accuracy", "balanced_accuracy", "worst_class_recall")


def print_final(out: Console, final: FinalResult, metric: str) -> None:
    """Tables of the confirmed configurations, the candidates and their classes; then the versions."""
    if final.confirmed:
        out.print()
        out.print(_confirmed(final.confirmed, metric))
        out.print(
            "[dim]The best values of a search tend to flatter their configurations; a mean over further "
            "seeds does not.[/]"
        )
        if any(row.half_width is not None for row in final.confirmed):
            out.print(
                "[dim]In brackets: the 95 % interval of the mean by the scatter from seed to seed "
                "(Student's t, one standard deviation for all configurations). Other images would scatter "
                "further.[/]"
            )
        out.print("[dim]Within noise: at most one standard error of the difference from the best mean.[/]")
    test = final.test
    times = f"{test.num_openings} time{'s' if test.num_openings > 1 else ''}"
    out.print(
        f"\n[bold]on the test split[/], {images_text(test.num_images, test.num_groups)}; it has been opened "
        f"{times}, this time included"
    )
    for remark in test.remarks:
        out.print(f"[yellow]{literal(remark[0].upper() + remark[1:])}.[/]", soft_wrap=True)
    out.print(_tested(final.candidates))
    out.print()
    if len(final.candidates) > 1:
        out.print(f"[dim]classes of {_title(final.result)}[/]")
    out.print(classes_table(test.classes))
    out.print()
    best = "and its best network" if final.result.num_folds is None else "and its best seed"
    others = {"single": best, "ensemble": "and its ensemble", "selected": "and a selection"}
    for candidate in sorted(final.candidates, key=lambda one: one is not final.result):
        what = "registered model" if candidate is final.result else others[candidate.kind]
        out.print(f"{what:<20} {_version(candidate)}")
    if final.verdict is not None:
        out.print(f"[dim]{literal(final.verdict[0].upper() + final.verdict[1:])}.[/]", soft_wrap=True)
    for candidate in final.candidates:
        if candidate.gain is not None:
            out.print(f"[dim]The selection has {literal(candidate.gain)}.[/]", soft_wrap=True)


def images_text(num_images: int, num_groups: int | None) -> str:
    """How many images there are, of how many groups, and what the intervals are over."""
    if num_groups is None:
        return f"{num_images:,} images, with 95 % intervals"
    return f"{num_images:,} images of {num_groups:,} groups, with 95 % intervals over groups"


def accuracy_text(final: FinalResult) -> str:
    """The accuracy on the test split with its interval."""
    return _percent(final.test.metrics["accuracy"])


def _confirmed(rows: tuple[Confirmed, ...], metric: str) -> Table:
    num_seeds = max(len(row.values) for row in rows)
    has_latency = any(row.latency_ms is not None for row in rows)
    latency = ("latency",) if has_latency else ()
    columns = (
        "",
        "confirmed",
        f"{metric} in the search",
        f"mean of {num_seeds} further seeds",
        "parameters",
        *latency,
        "",
    )
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        cells = (
            "►" if row.is_chosen else "",
            trial_name(row.trial),
            f"{row.search_value:.4f}",
            _mean(row, metric),
            "" if row.parameters_million is None else f"{number_text(row.parameters_million)} M",
            *(
                (("" if row.latency_ms is None else f"{number_text(row.latency_ms)} ms"),)
                if has_latency
                else ()
            ),
            row.verdict,
        )
        table.add_row(*cells, style="bold" if row.is_chosen else None)
    return table


def _mean(row: Confirmed, metric: str) -> str:
    if row.mean is None:
        return ""
    if row.half_width is None:
        return f"{row.mean:.4f}"
    lowest, highest = RANGES[metric]
    low, high = max(row.mean - row.half_width, lowest), min(row.mean + row.half_width, highest)
    return f"{row.mean:.4f} ({low:.4f} to {high:.4f})"


def _tested(candidates: tuple[Candidate, ...]) -> Table:
    table = Table("", *(_title(candidate) for candidate in candidates), box=None, pad_edge=False)
    add_metrics(table, [candidate.test.metrics for candidate in candidates])
    test = candidates[0].test  # the images are the same for all
    clean = [candidate.test.clean_metrics for candidate in candidates]
    if any(clean):
        table.add_row(f"[dim]the {test.num_clean:,} clean images alone[/]")
        add_metrics(table, [metrics or {} for metrics in clean])
    calibrations = [candidate.test.calibration for candidate in candidates]
    table.add_row("[dim]without → with temperature scaling[/]")
    for name, field in (("calibration error", "ece"), ("log loss", "log_loss"), ("Brier score", "brier")):
        table.add_row(f"  {name}", *(_both_ways(calibration, field) for calibration in calibrations))
    table.add_row("  temperature", *map(_temperature, calibrations))
    if any(candidate.latency_ms is not None for candidate in candidates):
        table.add_row("time for one image", *map(latency_text, candidates))
    return table


def latency_text(candidate: Candidate) -> str:
    """How long it took to classify one image; nothing where it is not known."""
    return "" if candidate.latency_ms is None else f"{number_text(candidate.latency_ms)} ms"


def add_metrics(table: Table, columns: list[Mapping[str, Interval]]) -> None:
    """Adds a row for each metric, with a column for each of `columns`."""
    for name in columns[0]:
        text = _percent if name in _SHARES else _number
        table.add_row(
            f"  {name.replace('_', ' ')}",
            *(text(metrics[name]) if name in metrics else "" for metrics in columns),
        )


def _title(candidate: Candidate) -> str:
    if candidate.kind == "single":
        folds = "" if candidate.num_folds is None else f", {candidate.num_folds} folds"
        return f"{candidate_name(candidate.trial, candidate.seeds)}{folds}"
    if candidate.kind == "selected":
        return f"selection of {len(candidate.parts)} trainings"
    return f"ensemble of its seeds {', '.join(map(str, candidate.seeds))}"


def _both_ways(calibration: Calibration, field: str) -> str:
    return f"{getattr(calibration.before, field):.4f} → {getattr(calibration.after, field):.4f}"


def _temperature(calibration: Calibration) -> str:
    return f"{calibration.temperature:.3f}, {_use_of_temperature(calibration)}"


def _use_of_temperature(calibration: Calibration) -> str:
    if calibration.is_at_bound:
        return "an end of its range: none fits"
    worse = ", worse log loss" if calibration.is_worse else ""
    if calibration.is_by_member:
        return "besides their own"
    if calibration.is_registered:
        return f"which is registered{worse}"
    return f"not registered{worse}"


def classes_table(classes: tuple[ClassResult, ...]) -> Table:
    """Recall and precision of every class, or of the worst where they are many."""
    shown = classes
    if len(classes) > MAX_CLASSES:
        shown = tuple(
            sorted(classes, key=lambda row: 2.0 if row.recall is None else row.recall.value)[:MAX_CLASSES]
        )
    groups = ("groups",) if any(row.num_groups is not None for row in classes) else ()
    table = Table("class", "images", *groups, "recall", "precision", box=None, pad_edge=False)
    for row in shown:
        shares = ("none" if share is None else _percent(share) for share in (row.recall, row.precision))
        counts = (f"{row.num_images:,}", *(f"{row.num_groups or 0:,}" for _ in groups))
        table.add_row(literal(row.name), *counts, *shares)
    if len(classes) > MAX_CLASSES:
        table.caption = (
            f"the {MAX_CLASSES} of {len(classes):,} classes with the lowest recall (--json shows all)"
        )
    return table


def _version(candidate: Candidate) -> str:
    counts = [_trainings_text(candidate)] if candidate.kind != "single" else []
    counts += [] if candidate.num_folds is None else [f"{candidate.num_folds} folds"]
    members = f", the mean of {' with '.join(counts)}" if counts else ""
    return (
        f"[bold]{candidate.model} version {candidate.version}[/]  "
        f"(models:/{candidate.model}/{candidate.version}){members}"
    )


def _trainings_text(candidate: Candidate) -> str:
    if candidate.kind == "ensemble":
        return f"{len(candidate.seeds)} seeds"
    return ", ".join(
        candidate_name(part.trial, () if part.seed is None else (part.seed,))
        + (f" ({part.times} times)" if part.times > 1 else "")
        for part in candidate.parts
    )


def _percent(interval: Interval) -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _number(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
