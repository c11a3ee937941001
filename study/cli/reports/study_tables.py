"""What the commands on studies print: tables for a person on stdout, or JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cluster.connection import num_cores
from search_spaces.dimensions import Choice, Value
from study.cli.reports.final_tables import accuracy_text, print_final
from study.cli.reports.pareto_picture import front_picture
from study.cli.reports.reproduction_tables import print_reproductions
from study.cli.reports.terminal import console
from study.evaluation.final_result import FinalResult
from study.names import trial_name
from study.number_text import number_text
from study.planning.earlier_starts import earlier_sentences
from study.planning.plan import Plan
from study.results.cost import Cost
from study.results.reproduction import Reproductions
from study.results.study_result import StudyResult
from study.search.record.lineage import changed_values, lineage
from study.search.record.trial import Trial

MAX_ROWS = 15
MAX_VARIED = 6


def print_plan(plan: Plan, file: Path) -> None:
    """The space, the trials and the rough cost of a study that is about to run."""
    out, spec = console(), plan.spec
    out.print(f"[bold]{spec.study}[/] on {spec.dataset} ({_sizes(plan)}), search space {spec.search_space}\n")
    table = Table("dimension", "range", "exists when", "", box=None, pad_edge=False)
    for dimension in plan.space.dimensions:
        conditions = " and ".join(f"{name} is {condition}" for name, condition in dimension.when.items())
        is_fixed = isinstance(dimension, Choice) and len(dimension.options) == 1
        table.add_row(
            dimension.name,
            f"[dim]{dimension}[/]" if is_fixed else str(dimension),
            conditions,
            f"[dim]{dimension.about}[/]",
        )
    out.print(table)
    for start in plan.starts[: len(plan.starts) - len(plan.earlier.used)]:
        changed = ", ".join(f"{name} (recipe: {value})" for name, value in start.overridden.items())
        out.print(
            f"\nstarts from [bold]{start.origin}[/]"
            + (f", where the study fixes {changed}" if changed else "")
        )
    for sentence in earlier_sentences(plan.earlier):
        out.print(f"\n{escape(sentence)}", highlight=False)
    budget, stopping = spec.budget, spec.early_stopping.rule
    wanted = ", ".join(objective.metric for objective in spec.objectives) + "".join(
        f", with {bound}" for bound in spec.constraints
    )
    how = f"sampler {spec.sampler.rule}, early stopping {stopping}"
    out.print(f"\n{budget.trials} trials of at most {budget.epochs} epochs, {how}, objective {wanted}")
    for remark in plan.remarks:
        out.print(f"[yellow]{remark}[/]")
    if spec.confirm is not None:
        added = (
            f"{spec.confirm.top * spec.confirm.seeds} trainings of {budget.epochs} epochs beyond the budget"
        )
        out.print(
            f"then the best {spec.confirm.top} are confirmed with {spec.confirm.seeds} further seeds each: "
            f"{added}"
        )
    out.print(f"at most {plan.num_images_trained:,} images through training{_expected_cost(plan)}")
    out.print(f"\n[green]The study can run.[/]  Next: study run {file}")


def print_result(result: StudyResult, *, as_json: bool = False) -> None:
    """The leaderboard, what failed, the winner on the test split, and what to type next."""
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    out = console()
    out.print(f"\n[bold]{result.spec.study}[/] on {result.spec.dataset}: {result.state}")
    if result.leaderboard:
        out.print(_leaderboard(result))
    for trial in result.trials:
        if trial.state in ("failed", "infeasible"):
            out.print(f"[red]{trial_name(trial.number)} {trial.state}:[/] {trial.reason}")
    for name, training in result.confirmation.items():
        if training.state in ("failed", "infeasible"):
            out.print(f"[red]{name} {training.state}:[/] {training.reason}")
    if result.pareto:
        out.print(front_picture(result.trials, result.pareto, result.spec.objectives))
    if result.cost.seconds:
        out.print(f"\n{_cost_text(result.cost)}")
    if result.reproduction is not None:
        print_reproductions(Reproductions(done=(result.reproduction,)))
    elif result.final is not None:
        _print_final(out, result, result.final)
    if not result.has_ended:
        out.print(f"\nNext: study resume {result.spec.study}")


def print_studies(results: Sequence[StudyResult], *, as_json: bool = False) -> None:
    """One line for each study."""
    if as_json:
        keys = ("study", "dataset", "state", "objective", "best", "final")
        print(
            json.dumps(
                [{key: tree[key] for key in keys} for tree in (result.to_dict() for result in results)],
                indent=2,
            )
        )
        return
    if not results:
        console().print("no studies yet; the first one: study quickstart")
        return
    table = Table(
        "study",
        "dataset",
        "state",
        "objective",
        "best",
        "test accuracy (95 % interval)",
        "model",
        box=None,
        pad_edge=False,
    )
    for result in results:
        final, best = result.final, result.best
        table.add_row(
            result.spec.study,
            result.spec.dataset,
            result.state,
            result.spec.objective.metric,
            "" if best is None or best.value is None else f"{best.value:.4f}",
            "" if final is None else accuracy_text(final),
            "" if final is None else f"{final.model} version {final.version}",
        )
    console().print(table)


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


def _leaderboard(result: StudyResult) -> Table:
    shown = dict.fromkeys((*(objective.metric for objective in result.spec.objectives), "accuracy"))
    front = {trial.number for trial in result.pareto}
    varied = _varied([trial.point for trial in result.leaderboard])[:MAX_VARIED]
    begun = ("continues",) if any(trial.continues for trial in result.leaderboard) else ()
    names = (name.replace("_", " ") for name in varied)
    table = Table("", "trial", "state", *shown, "epochs", "time", *begun, *names, box=None, pad_edge=False)
    ranked = list(enumerate(result.leaderboard, start=1))
    rows = [(rank, trial) for rank, trial in ranked if rank <= MAX_ROWS or trial.number in front]
    for rank, trial in rows:
        cells = [f"{rank} ●" if trial.number in front else str(rank), trial_name(trial.number), _state(trial)]
        table.add_row(
            *cells,
            *(_number(trial.objectives.get(name, trial.metrics.get(name))) for name in shown),
            f"{trial.best_epoch}/{trial.last_epoch}",
            f"{trial.seconds:.0f} s",
            *(str(trial.continues or "") for _ in begun),
            *(number_text(trial.point.get(name)) for name in varied),
        )
    if len(ranked) > len(rows):
        table.caption = f"… and {len(ranked) - len(rows)} more (--json shows all)"
    return table


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
