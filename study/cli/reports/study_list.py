"""What `study list` prints: a line for each study, or JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from study.cli.reports.final_tables import accuracy_text
from study.cli.reports.terminal import Column, console, print_table
from study.disk_space import size_text
from study.results.study_result import StudyResult, UnreadableStudy
from study.safe_console import literal
from study.study_file.study_spec import StudySpec
from study.study_file.tags import one_line, tags_text


def print_studies(
    results: Sequence[StudyResult | UnreadableStudy],
    wanted_tags: Mapping[str, str] | None = None,
    *,
    num_hidden: int = 0,
    as_json: bool = False,
    show_all: bool = False,
) -> None:
    """One line for each study; those that cannot be read come last, with the reason.

    `wanted_tags` are those by which they were chosen, and `num_hidden` archived ones were left out.
    """
    if as_json:
        print(json.dumps([_listed(result) for result in results], indent=2))
        return
    out = console()
    if not results and wanted_tags:
        out.print(f"no study has {literal(tags_text(wanted_tags))}; all studies: study list")
    elif not results and not num_hidden:
        out.print("no studies yet; the first one: study quickstart")
    readable = [result for result in results if isinstance(result, StudyResult)]
    if readable:
        print_table(out, _study_columns(readable), show_all=show_all)
    for result in results:
        if isinstance(result, UnreadableStudy):
            out.print(f"[red]{literal(str(result))}[/]")
    if num_hidden:
        studies = "studies are" if num_hidden > 1 else "study is"
        out.print(f"[dim]{num_hidden} archived {studies} not shown (--all shows them)[/]")


def _listed(result: StudyResult | UnreadableStudy) -> dict[str, Any]:
    if isinstance(result, UnreadableStudy):
        return {"study": result.study, "state": "unreadable", "reason": result.reason}
    tree = result.to_dict()
    return {key: tree[key] for key in _LISTED}


_LISTED = (
    *("study", "dataset", "about", "tags", "state", "progress", "driver", "failure"),
    *("archived", "disk_bytes", "objective", "folds", "best", "final"),
)
"""Of all that a result says of a study."""


def _study_columns(results: Sequence[StudyResult]) -> list[Column]:
    finals = [result.final for result in results]
    return [
        Column("study", [result.spec.study for result in results]),
        Column("dataset", [result.spec.dataset for result in results], rank=4),
        Column("state", [result.state + (", archived" if result.is_archived else "") for result in results]),
        Column("progress", [result.progress for result in results], rank=2),
        Column("objective", [_objective_text(result) for result in results], rank=5),
        Column("best", [_best(result) for result in results]),
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
        Column("disk", [size_text(result.disk_bytes) for result in results], rank=6),
        *_word_columns([result.spec for result in results]),
    ]


def _word_columns(specs: Sequence[StudySpec]) -> list[Column]:
    """What people said of their studies, where anybody did."""
    columns = [
        Column("tags", [tags_text(spec.tags) for spec in specs], rank=7),
        Column("about", [one_line(spec.about or "") for spec in specs], rank=8),
    ]
    return [column for column in columns if any(column.cells)]


def _objective_text(result: StudyResult) -> str:
    """The metric, and over how many folds: means over folds do not compare with values of one split."""
    num_folds = result.spec.num_folds
    return result.spec.objective.metric + ("" if num_folds is None else f", {num_folds} folds")


def _best(result: StudyResult) -> str:
    return "" if result.best is None or result.best.value is None else f"{result.best.value:.4f}"
