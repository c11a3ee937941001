"""What the commands that use a model print: labels of images, metrics, a model trained again."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from study import names
from study.cli.reports.final_tables import add_metrics, classes_table
from study.cli.reports.terminal import console
from study.evaluation.test_result import Interval
from study.registry.labelled_images import Evaluation
from study.registry.predictions import Prediction
from study.registry.retraining import Retrained
from study.registry.versions import Version
from study.safe_console import literal
from trainables.datasets.problems import in_words
from trainables.printable import printable
from trainables.training.epoch import Epoch

NUM_SHOWN = 3
"""Classes of an image, the most probable first."""


def print_predictions(
    version: Version, predictions: Iterable[Prediction], *, width: int, as_json: bool = False
) -> int:
    """A line for each image as soon as it is known; returns the number of unreadable files.

    `width` is the number of characters for a file's name.
    """
    if as_json:
        found = list(predictions)
        tree = {
            "model": version.name,
            "aliases": version.aliases,
            "predictions": [asdict(one) for one in found],
        }
        print(json.dumps(tree, indent=2))
        return sum(one.problem is not None for one in found)
    out, num_images, num_failed = console(), 0, 0
    out.print(f"[dim]{which_version(version)}[/]")
    for one in predictions:
        num_images += 1
        if one.problem is not None or one.probabilities is None or one.label is None:
            num_failed += 1
            print(printable(f"{one.file}: {one.problem}"), file=sys.stderr, flush=True)
            continue
        others = ", ".join(
            f"{printable(name)} {share:.1%}" for name, share in list(one.probabilities.items())[1:NUM_SHOWN]
        )
        file, label = printable(one.file), printable(one.label)
        print(f"{file:<{width}}  {label}  {one.confidence:.1%}  ({others})", flush=True)
    if num_failed:
        print(f"{num_failed} of {num_images} could not be read", file=sys.stderr)
    return num_failed


def print_written(
    version: Version,
    predictions: Iterable[Prediction],
    file: Path,
    num_files: int,
    progress: Callable[[str, int, int | None], None],
) -> int:
    """What was written to a file: how many images of each class; files that cannot be read by name.

    Returns the number of these.
    """
    counts: Counter[str] = Counter()
    problems: list[str] = []
    for number, one in enumerate(predictions, start=1):
        progress("predicting", number, num_files)
        if one.label is None:
            problems.append(printable(f"{one.file}: {one.problem}"))
        else:
            counts[one.label] += 1
    out = console()
    out.print(f"[dim]{which_version(version)}[/]")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems):,} of {num_files:,} could not be read", file=sys.stderr)
    by_class = ", ".join(f"{literal(name)} {count:,}" for name, count in counts.most_common())
    out.print(f"{counts.total():,} images in {literal(file)}: {by_class or 'none'}", soft_wrap=True)
    return len(problems)


def print_evaluated(version: Version, evaluated: Evaluation, *, as_json: bool = False) -> None:
    """Metrics with intervals, and every class."""
    if as_json:
        print(json.dumps({"model": version.name, **asdict(evaluated), "absent": evaluated.absent}, indent=2))
        return
    out = console()
    splits = ", ".join(f"{name} {count:,}" for name, count in evaluated.num_by_split.items())
    out.print(f"[dim]{which_version(version)}[/]")
    out.print(
        f"{evaluated.num_images:,} images of {literal(evaluated.source)}"
        + (f" ({splits})" if splits else "")
        + (
            ""
            if evaluated.num_groups is None
            else f", of {evaluated.num_groups:,} groups, which the intervals are over"
        ),
        soft_wrap=True,
    )
    if "train" in evaluated.num_by_split and len(evaluated.num_by_split) > 1:
        out.print("[dim]All splits are in it; for one alone: --split test[/]")
    if evaluated.skipped:
        out.print(f"[yellow]left out: {in_words(evaluated.skipped)}[/]", soft_wrap=True)
    if evaluated.absent:
        absent = ", ".join(map(literal, evaluated.absent))
        out.print(f"[yellow]no image of {absent}: the metrics are of the other classes[/]")
    _print_seen(out, evaluated)
    columns: list[Mapping[str, Interval]] = [evaluated.metrics]
    table = Table("", "with 95 % interval", box=None, pad_edge=False)
    if evaluated.unseen_metrics is not None:
        columns.append(evaluated.unseen_metrics)
        table.add_column(f"the {evaluated.num_images - evaluated.num_seen:,} unseen images alone")
    add_metrics(table, columns)
    out.print(table)
    out.print()
    out.print(classes_table(tuple(row for row in evaluated.classes if row.num_images or row.num_predicted)))


def _print_seen(out: Console, evaluated: Evaluation) -> None:
    """How many of the images the model knows already, which makes their numbers worthless."""
    if evaluated.num_seen:
        which = (
            "all" if evaluated.num_seen == evaluated.num_images else f"{evaluated.num_seen:,} of these images"
        )
        out.print(
            f"[yellow]The model was trained or selected on {which}: the numbers flatter it"
            + ("" if evaluated.unseen_metrics is None else "; those of the unseen images do not")
            + ".[/]",
            soft_wrap=True,
        )
    for reason in evaluated.unknown:
        out.print(
            f"[yellow]Whether the model knows some of these images cannot be told: {literal(reason)}.[/]",
            soft_wrap=True,
        )


def retraining_progress(number: int, num_networks: int, epoch: Epoch, num_epochs: int, value: float) -> None:
    """A line on stderr for each epoch."""
    which = f"network {number}/{num_networks}  " if num_networks > 1 else ""
    left = (num_epochs - epoch.number) * (epoch.train_seconds + epoch.validation_seconds)
    print(
        f"{which}epoch {epoch.number}/{num_epochs}  loss {epoch.train_loss:.4f}  validation {value:.4f}  "
        f"about {left:.0f} s left",
        file=sys.stderr,
        flush=True,
    )


def print_retrained(version: Version, retrained: Retrained, *, as_json: bool = False) -> None:
    """Whether a version trained again is what it was."""
    if as_json:
        print(
            json.dumps(
                {"model": version.name, **asdict(retrained), "is_within": retrained.is_within}, indent=2
            )
        )
        return
    out, metric = console(), retrained.metric.replace("_", " ")
    many = f", the mean of {retrained.num_networks} networks" if retrained.num_networks > 1 else ""
    out.print(f"[bold]{version.name}[/]{many}, trained again in {retrained.seconds:.0f} s")
    out.print(f"validation {metric}   recorded {retrained.recorded:.6f}   obtained {retrained.obtained:.6f}")
    difference = retrained.obtained - retrained.recorded
    verdict = (
        "[green]reproduced[/]" if retrained.is_within else f"[red]not reproduced[/]: off by {difference:+.6f}"
    )
    out.print(f"{verdict} (they must agree {retrained.because})", soft_wrap=True)


def which_version(version: Version) -> str:
    """Which version answers, and why that one."""
    if version.aliases:
        return f"{version.name}, {' and '.join(version.aliases)}"
    return f"{version.name}, of study {version.tags.get(names.STUDY, 'unknown')}"
