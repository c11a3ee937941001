"""What the commands on studies print: tables for a person on stdout, or JSON."""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.connection import num_cores
from search_spaces.dimensions import Choice, Value
from study.cli.reports.final_tables import accuracy_text, print_final
from study.cli.reports.pareto_picture import front_picture
from study.cli.reports.reproduction_tables import print_reproductions
from study.cli.reports.terminal import Column, console, print_table
from study.evaluation.final_result import FinalResult
from study.names import trial_name
from study.number_text import number_text
from study.planning.earlier_starts import earlier_sentences
from study.planning.plan import Plan
from study.results.cost import Cost
from study.results.reproduction import Reproductions
from study.results.study_result import StudyResult, UnreadableStudy
from study.safe_console import literal
from study.search.record.lineage import changed_values, lineage
from study.search.record.trial import Trial

MAX_ROWS = 15


def print_plan(plan: Plan, file: Path, warnings: Sequence[str] = ()) -> None:
    """The space, the trials and the rough cost of a study that is about to run, and what to beware of."""
    out, spec = console(), plan.spec
    space = literal(spec.search_space)
    out.print(f"[bold]{spec.study}[/] on {spec.dataset} ({_sizes(plan)}), search space {space}\n")
    table = Table("dimension", "range", "exists when", "", box=None, pad_edge=False)
    for dimension in plan.space.dimensions:
        conditions = " and ".join(f"{name} is {condition}" for name, condition in dimension.when.items())
        is_fixed = isinstance(dimension, Choice) and len(dimension.options) == 1
        table.add_row(
            dimension.name,
            f"[dim]{literal(dimension)}[/]" if is_fixed else literal(dimension),
            literal(conditions),
            f"[dim]{literal(dimension.about)}[/]",
        )
    out.print(table)
    for start in plan.starts[: len(plan.starts) - len(plan.earlier.used)]:
        changed = ", ".join(f"{name} (recipe: {literal(value)})" for name, value in start.overridden.items())
        out.print(
            f"\nstarts from [bold]{start.origin}[/]"
            + (f", where the study fixes {changed}" if changed else "")
        )
    for sentence in earlier_sentences(plan.earlier):
        out.print(f"\n{literal(sentence)}", highlight=False)
    budget, stopping = spec.budget, spec.early_stopping.rule
    wanted = ", ".join(objective.metric for objective in spec.objectives) + "".join(
        f", with {bound}" for bound in spec.constraints
    )
    how = f"sampler {spec.sampler.rule}, early stopping {stopping}"
    out.print(f"\n{budget.trials} trials of at most {budget.epochs} epochs, {how}, objective {wanted}")
    for remark in plan.remarks:
        out.print(f"[yellow]{literal(remark)}[/]")
    if spec.confirm is not None:
        added = (
            f"{spec.confirm.top * spec.confirm.seeds} trainings of {budget.epochs} epochs beyond the budget"
        )
        out.print(
            f"then the best {spec.confirm.top} are confirmed with {spec.confirm.seeds} further seeds each: "
            f"{added}"
        )
    out.print(f"at most {plan.num_images_trained:,} images through training{_expected_cost(plan)}")
    for warning in warnings:
        out.print(f"\n[yellow]{literal(warning)}[/]", soft_wrap=True)
    out.print(f"\n[green]The study can run.[/]  Next: study run {literal(file)}")


def print_result(result: StudyResult, *, as_json: bool = False, show_all: bool = False) -> None:
    """The leaderboard, what failed, the winner on the test split, and what to type next.

    `show_all` prints all columns and rows of the leaderboard.
    """
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    out = console()
    out.print(f"\n[bold]{result.spec.study}[/] on {result.spec.dataset}: {_state_text(result)}")
    if result.leaderboard:
        _print_leaderboard(out, result, show_all=show_all)
    for trial in result.trials:
        if trial.state in ("failed", "infeasible"):
            out.print(f"[red]{trial_name(trial.number)} {trial.state}:[/] {literal(trial.reason or '')}")
    for name, training in result.confirmation.items():
        if training.state in ("failed", "infeasible"):
            out.print(f"[red]{name} {training.state}:[/] {literal(training.reason or '')}")
    if result.pareto:
        out.print(front_picture(result.trials, result.pareto, result.spec.objectives))
    if result.cost.seconds:
        out.print(f"\n{_cost_text(result.cost)}")
    if result.reproduction is not None:
        print_reproductions(Reproductions(done=(result.reproduction,)))
    elif result.final is not None:
        _print_final(out, result, result.final)
    if result.driver is not None:
        out.print(f"\nNext: study show {result.spec.study} again, or stop it: study stop {result.spec.study}")
    elif not result.has_ended:
        out.print(f"\nNext: study resume {result.spec.study}")


def print_studies(
    results: Sequence[StudyResult | UnreadableStudy], *, as_json: bool = False, show_all: bool = False
) -> None:
    """One line for each study; those that cannot be read come last, with the reason."""
    if as_json:
        print(json.dumps([_listed(result) for result in results], indent=2))
        return
    if not results:
        console().print("no studies yet; the first one: study quickstart")
        return
    out = console()
    readable = [result for result in results if isinstance(result, StudyResult)]
    if readable:
        print_table(out, _study_columns(readable), show_all=show_all)
    for result in results:
        if isinstance(result, UnreadableStudy):
            out.print(f"[red]{literal(str(result))}[/]")


def _listed(result: StudyResult | UnreadableStudy) -> dict[str, Any]:
    if isinstance(result, UnreadableStudy):
        return {"study": result.study, "state": "unreadable", "reason": result.reason}
    tree = result.to_dict()
    keys = ("study", "dataset", "state", "progress", "driver", "failure", "objective", "best", "final")
    return {key: tree[key] for key in keys}


def _study_columns(results: Sequence[StudyResult]) -> list[Column]:
    finals = [result.final for result in results]
    return [
        Column("study", [result.spec.study for result in results]),
        Column("dataset", [result.spec.dataset for result in results], rank=4),
        Column("state", [result.state for result in results]),
        Column("progress", [result.progress for result in results], rank=2),
        Column("objective", [result.spec.objective.metric for result in results], rank=5),
        Column("best", [_number(result.best.value if result.best else None) for result in results]),
        Column(
            "test accuracy (95 % interval)",
            [accuracy_text(final) if final is not None else "" for final in finals],
            rank=1,
        ),
        Column(
            "model",
            [f"{final.model} version {final.version}" if final is not None else "" for final in finals],
            rank=3,
        ),
    ]


def _state_text(result: StudyResult) -> str:
    """The state, who drives the study or why nobody does, and how far it has come."""
    if result.driver is not None:
        ago = max(round(time.time() - result.driver.last_sign), 0)
        return f"{result.state} {result.driver}, last sign of life {ago} s ago; {result.progress}"
    if result.state == "failed":
        return f"failed ({literal(result.failure or '')}); {result.progress}"
    return result.state if result.has_ended else f"{result.state}; {result.progress}"


def _cost_text(cost: Cost) -> str:
    """The cost in a line; parts that are zero are left out."""
    on_gpus = f" ({_duration(cost.gpu_seconds)} on GPUs)" if cost.gpu_seconds else ""
    saved = f"; early stopping saved about {_duration(cost.saved_seconds)}" if cost.saved_seconds else ""
    wasted = f"; {_duration(cost.wasted_seconds)} went into trials that failed" if cost.wasted_seconds else ""
    return (
        f"cost                 {_duration(cost.seconds)} of training and validation{on_gpus}{saved}{wasted}"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _print_leaderboard(out: Console, result: StudyResult, *, show_all: bool) -> None:
    front = {trial.number for trial in result.pareto}
    ranked = list(enumerate(result.leaderboard, start=1))
    rows = [row for row in ranked if show_all or row[0] <= MAX_ROWS or row[1].number in front]
    print_table(out, _trial_columns(result, rows, front), show_all=show_all)
    if len(ranked) > len(rows):
        out.print(f"[dim]… and {len(ranked) - len(rows)} more trials (--all shows them)[/]")


def _trial_columns(
    result: StudyResult, rows: Sequence[tuple[int, Trial]], front: Collection[int]
) -> list[Column]:
    trials = [trial for _, trial in rows]
    objectives = [objective.metric for objective in result.spec.objectives]
    columns = [
        Column("", [f"{rank} ●" if trial.number in front else str(rank) for rank, trial in rows]),
        Column("trial", [trial_name(trial.number) for trial in trials]),
        Column("state", [_state(trial) for trial in trials]),
    ]
    columns += [
        Column(
            name,
            [_number(trial.objectives.get(name, trial.metrics.get(name))) for trial in trials],
            rank=0 if name in objectives else 3,
        )
        for name in dict.fromkeys((*objectives, "accuracy"))
    ]
    columns += [
        Column("best epoch", [str(trial.best_epoch or "") for trial in trials], rank=4),
        Column("epochs", [f"{trial.last_epoch}/{result.spec.budget.epochs}" for trial in trials], rank=1),
        Column("time", [f"{trial.seconds:.0f} s" for trial in trials], rank=2),
    ]
    if any(trial.continues for trial in result.leaderboard):
        columns.append(Column("continues", [str(trial.continues or "") for trial in trials], rank=5))
    varied = _varied([trial.point for trial in result.leaderboard])
    return columns + [
        Column(
            name.replace("_", " "), [number_text(trial.point.get(name)) for trial in trials], rank=6 + place
        )
        for place, name in enumerate(varied)
    ]


def _state(trial: Trial) -> str:
    return (
        trial.state
        if trial.is_feasible or trial.state == "infeasible"
        else f"{trial.state}, misses a constraint"
    )


def _print_final(out: Console, result: StudyResult, final: FinalResult) -> None:
    if result.best is not None:
        out.print(
            f"\nbest by validation   {trial_name(result.best.number)}: {result.spec.objective.metric} "
            f"{_number(result.best.value)}"
        )
        print_lineage(out, result.best)
    print_final(out, final, result.spec.objective.metric)
    if not result.has_ended:
        return
    out.print("\nNext:")
    following = {
        f"study promote {final.model} {final.version}": (
            "make this version the champion, if it is better than the present one"
        ),
        f"study predict {final.model}/{final.version} IMAGE…": "label images with it",
        f"study show {result.spec.study}": "these tables again; --json for a program",
        "study ui": "runs, curves and models in MLflow, in the browser",
        "study check SPEC": "your own study file, checked before it runs",
    }
    width = max(map(len, following))
    for command, what in following.items():
        out.print(f"  {command:<{width}}   {what}")


def _varied(points: Iterable[dict[str, Value]]) -> list[str]:
    """Names of the dimensions that differ among the points."""
    seen: dict[str, set[str]] = {}
    for point in points:
        for name, value in point.items():
            seen.setdefault(name, set()).add(repr(value))
    return [name for name, values in seen.items() if len(values) > 1]


def _sizes(plan: Plan) -> str:
    manifest = plan.manifest
    return (
        f"{manifest.splits['train'].num_images:,} training images of {manifest.width}x{manifest.height}, "
        f"{manifest.num_classes} classes"
    )


def _expected_cost(plan: Plan) -> str:
    core_hours = plan.cpu_hours()
    if core_hours is None:
        return "; cost unknown for timm architectures"
    hours = core_hours / num_cores()
    return (
        f": very roughly {_hours(hours)} on this machine's {num_cores()} CPU cores without early stopping, "
        "far less on a GPU"
    )


def _hours(hours: float) -> str:
    minutes = max(round(hours * 60), 1)
    return f"{hours:.1f} hours" if hours >= 1 else f"{minutes} minute{'s' if minutes > 1 else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def print_lineage(out: Console, trial: Trial) -> None:
    """The trials that trained a trial's weights, with the values that changed; nothing if it began by
    itself.
    """
    if trial.continues is None:
        return
    stretches = lineage(trial)
    changed = changed_values(stretches)
    out.print(
        f"\n{trial_name(trial.number)} went on from others' checkpoints; its values alone do not train it "
        "again:"
    )
    table = Table("epochs", "as", *(name.replace("_", " ") for name in changed), box=None, pad_edge=False)
    for index, stretch in enumerate(stretches):
        values = (number_text(column[index]) for column in changed.values())
        table.add_row(f"{stretch.first_epoch} to {stretch.last_epoch}", trial_name(stretch.trial), *values)
    out.print(table)
