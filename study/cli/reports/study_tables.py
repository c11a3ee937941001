"""What the commands on studies print: tables for a person on stdout, or JSON."""

import json
import time
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table

from search_spaces.dimensions import Value
from study.cli.reports.final_tables import print_final
from study.cli.reports.pareto_picture import front_picture
from study.cli.reports.reproduction_tables import print_reproductions
from study.cli.reports.terminal import Column, console, print_table
from study.evaluation.final_result import FinalResult
from study.names import trial_name
from study.number_text import number_text
from study.results.cost import Cost
from study.results.more_trials import more_trials_sentence
from study.results.price import Price
from study.results.reproduction import Reproductions
from study.results.study_result import StudyResult
from study.safe_console import literal
from study.search.record.lineage import changed_values, lineage
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec
from study.study_file.tags import one_line, tags_text

MAX_ROWS = 15


def print_result(result: StudyResult, *, as_json: bool = False, show_all: bool = False) -> None:
    """The leaderboard, what failed, the winner on the test split, and what to type next.

    `show_all` prints all columns and rows of the leaderboard.
    """
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    out = console()
    _print_heading(out, result)
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
    _print_cost(out, result)
    if result.reproduction is not None:
        print_reproductions(Reproductions(done=(result.reproduction,)))
    elif result.final is not None:
        _print_final(out, result, result.final)
    if result.driver is not None:
        out.print(f"\nNext: study show {result.spec.study} again, or stop it: study stop {result.spec.study}")
    elif not result.has_ended and not result.is_archived:
        out.print(f"\nNext: study resume {result.spec.study}")


def print_words(out: Console, spec: StudySpec) -> None:
    """What a person said of a study in its file."""
    if spec.about is not None:
        out.print(literal(one_line(spec.about)))
    if spec.tags:
        out.print(f"[dim]tags: {literal(tags_text(spec.tags))}[/]")


def _print_heading(out: Console, result: StudyResult) -> None:
    out.print(f"\n[bold]{result.spec.study}[/] on {result.spec.dataset}: {_state_text(result)}")
    print_words(out, result.spec)
    if result.spec.num_folds is not None:
        out.print(f"[dim]Values of trials are means over {result.spec.num_folds} folds.[/]")


def _state_text(result: StudyResult) -> str:
    """The state, who drives the study or why nobody does, and how far it has come."""
    if result.is_archived:
        return f"{result.state}, archived; to bring it back: study archive {result.spec.study} --undo"
    if result.driver is not None:
        ago = max(round(time.time() - result.driver.last_sign), 0)
        driven = ", driven" if result.state == "stopping" else ""
        return f"{result.state}{driven} {result.driver}, last sign of life {ago} s ago; {result.progress}"
    if result.state == "failed":
        return f"failed ({literal(result.failure or '')}); {result.progress}"
    return result.state if result.has_ended else f"{result.state}; {result.progress}"


def _print_cost(out: Console, result: StudyResult) -> None:
    """What it cost, and what more trials would bring."""
    if result.cost.seconds:
        out.print(f"\n{_cost_text(result.cost)}")
    if (sentence := more_trials_sentence(result.spec, result.trials)) is not None:
        out.print(f"[dim]{literal(sentence)}[/]", soft_wrap=True)


def _cost_text(cost: Cost) -> str:
    """The cost in a line, with a price where the environment says one; parts that are zero are left out."""
    on_gpus = f" ({_duration(cost.gpu_seconds)} on GPUs)" if cost.gpu_seconds else ""
    saved = f"; early stopping saved about {_duration(cost.saved_seconds)}" if cost.saved_seconds else ""
    wasted = f"; {_duration(cost.wasted_seconds)} went into trials that failed" if cost.wasted_seconds else ""
    price = Price.of_environment()
    money = f"; {price.text(cost.wall_seconds)} at {price.rate}" if price and cost.wall_seconds else ""
    return (
        f"cost                 {_duration(cost.seconds)} of training and validation{on_gpus}{saved}{wasted}"
        f"{money}"
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
