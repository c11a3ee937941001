"""What the commands on datasets print."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from study.cli.reports.terminal import Column, console, print_table
from study.disk_space import size_text
from study.evaluation.small_data import small_data_remarks
from study.safe_console import SafeConsole, literal
from trainables.datasets.contact_sheet import CONTACT_SHEET_FILE
from trainables.datasets.manifest import Manifest
from trainables.datasets.problems import in_words
from trainables.datasets.sealed_test import Opening, openings

MAX_CLASSES_SHOWN = 50
MAX_OPENINGS_SHOWN = 10
"""The latest."""


@contextmanager
def adding_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar on stderr for each step of adding a dataset.

    The yielded function takes the step's name, how far it is, and how far it goes.
    """
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = SafeConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        steps: dict[str, object] = {}

        def advance(step: str, done: int, total: int | None) -> None:
            if step not in steps:
                steps[step] = bars.add_task(step, total=total)
            bars.update(steps[step], completed=done, total=total)  # type: ignore[arg-type]

        yield advance


def print_added(manifest: Manifest, folder: Path) -> None:
    """What was stored, and what to look at next."""
    out = console()
    counts = ", ".join(
        f"{name} {split.num_images:,}" + (" (carved)" if split.origin == "carved" else "")
        for name, split in manifest.splits.items()
    )
    out.print(f"added [bold]{manifest.name}[/]: {manifest.num_classes} classes, {_size(manifest)}; {counts}")
    if (groups := _groups(manifest)) is not None:
        out.print(f"groups by {literal(manifest.grouped_by or '')}: {groups}", soft_wrap=True)
    if manifest.is_encoded:
        out.print(f"stored as {_form(manifest)}; --size PX stores pixels at one size", soft_wrap=True)
    remarks = map(literal, small_data_remarks(manifest))
    for warning in (*_group_warnings(manifest), *_channel_warnings(manifest), *remarks):
        out.print(f"[yellow]{warning}[/]", soft_wrap=True)
    if manifest.findings.skipped:
        out.print(f"left out: {in_words(manifest.findings.skipped)}", soft_wrap=True)
    out.print(f"Next: study data show {manifest.name}")


def print_published(address: str) -> None:
    """Where a dataset is published, and how a study names it."""
    print(f"published; in a study file: dataset: {address}")


def print_datasets(
    manifests: Sequence[Manifest],
    sizes: Sequence[int],
    *,
    as_json: bool = False,
    show_all: bool = False,
) -> None:
    """One line for each dataset; `sizes` are those of their folders, in bytes."""
    if as_json:
        trees = [
            {**manifest.to_dict(), "disk_bytes": size}
            for manifest, size in zip(manifests, sizes, strict=True)
        ]
        print(json.dumps(trees, indent=2))
        return
    out = console()
    if not manifests:
        out.print("no datasets yet; a first one: study data add digits")
        return
    counts = {
        name: [f"{manifest.splits[name].num_images:,}" for manifest in manifests]
        for name in ("train", "validation", "test")
    }
    columns = [
        Column("dataset", [manifest.name for manifest in manifests]),
        Column("classes", [str(manifest.num_classes) for manifest in manifests]),
        Column("images", [_size(manifest) for manifest in manifests], rank=1),
        *(Column(name, cells) for name, cells in counts.items()),
        Column("disk", [size_text(size) for size in sizes], rank=2),
        Column("digest", [manifest.digest[:12] for manifest in manifests], rank=3),
        Column("source", [manifest.source for manifest in manifests], rank=4),
    ]
    print_table(out, columns, show_all=show_all)


def print_dataset(manifest: Manifest, folder: Path, *, as_json: bool = False) -> None:
    """Classes by split, duplicates, label conflicts, pixel statistics, and where the contact sheet is."""
    sheet = folder / CONTACT_SHEET_FILE
    if as_json:
        tree = {
            **manifest.to_dict(),
            "contact_sheet": str(sheet),
            "openings": [asdict(opening) for opening in openings(folder)],
        }
        print(json.dumps(tree, indent=2))
        return
    out = console()
    licence = literal(manifest.licence or "not stated")
    out.print(f"[bold]{manifest.name}[/]  {_size(manifest)}, licence {licence}, added {manifest.added}")
    out.print(f"from {literal(manifest.source)}, digest {manifest.digest}\n")
    out.print(_classes(manifest))
    findings = manifest.findings
    out.print()
    if (groups := _groups(manifest)) is not None:
        out.print(f"groups, by {literal(manifest.grouped_by or ''):<39} {groups}", soft_wrap=True)
        out.print("groups that are in two splits                      " + _counts(findings.num_groups_across))
    if manifest.kept_columns:
        kept = literal(", ".join(manifest.kept_columns))
        out.print(f"columns kept, for `study audit`                    {kept}", soft_wrap=True)
    out.print("images that repeat an earlier one of their split   " + _counts(findings.num_duplicates_within))
    out.print("distinct images that are in two splits             " + _counts(findings.num_duplicates_across))
    out.print(f"distinct images under more than one class          {findings.num_label_conflicts:,}")
    if findings.skipped:
        out.print(
            "left out when it was added                         " + in_words(findings.skipped), soft_wrap=True
        )
    if manifest.image_bytes is not None:
        out.print(f"stored as                                          {_form(manifest)}", soft_wrap=True)
    out.print(
        f"pixels of the training split                       mean {_triple(manifest.pixel_mean)}, deviation "
        f"{_triple(manifest.pixel_std)}"
    )
    out.print(f"contact sheet                                      {literal(sheet)}", soft_wrap=True)
    for warning in (*_group_warnings(manifest), *_channel_warnings(manifest)):
        out.print(f"[yellow]{literal(warning)}[/]", soft_wrap=True)
    _print_openings(out, openings(folder), manifest)


def _groups(manifest: Manifest) -> str | None:
    """How many groups each split has; None where the dataset has none."""
    if manifest.grouped_by is None:
        return None
    return ", ".join(f"{name} {split.num_groups:,}" for name, split in manifest.splits.items())


def _group_warnings(manifest: Manifest) -> Iterator[str]:
    """Groups in two splits make each number that is measured on the second one flatter."""
    across = manifest.findings.num_groups_across
    if shared := [pair.replace("+", " and ") for pair, count in across.items() if count]:
        yield (
            f"There are groups with images in both {', in both '.join(shared)}, as the source has these "
            "splits: results on the later one flatter the model, but for those of clean images. Give all "
            "images as one split, and the others are carved by group."
        )


def _channel_warnings(manifest: Manifest) -> Iterator[str]:
    """A few files that were saved as RGB make all images RGB."""
    num_gray = manifest.findings.num_widened
    if num_gray:
        num_images = sum(split.num_images for split in manifest.splits.values())
        yield (
            f"{num_images - num_gray:,} of {num_images:,} images are RGB and the others gray, so all are "
            "stored as RGB. Where colour means nothing, --channels 1 stores all of them as gray."
        )


def _print_openings(out: Console, opened: Sequence[Opening], manifest: Manifest) -> None:
    """How often the test split was looked at, and by whom."""
    if not opened:
        out.print("\nThe test split has never been opened.")
        return
    out.print(f"\nThe test split has been opened {len(opened)} time{'s' if len(opened) > 1 else ''}:")
    table = Table(box=None, pad_edge=False, show_header=False)
    for opening in opened[-MAX_OPENINGS_SHOWN:]:
        other = (
            ""
            if opening.dataset_digest == manifest.digest
            else f"another version of the dataset, {opening.dataset_digest[:12]}"
        )
        table.add_row(f"  {opening.time}", literal(opening.opened_by), f"[dim]{other}[/]")
    out.print(table)
    if len(opened) > MAX_OPENINGS_SHOWN:
        out.print(f"  and {len(opened) - MAX_OPENINGS_SHOWN} earlier (--json shows all)")


def _classes(manifest: Manifest) -> Table:
    names = tuple(manifest.splits)
    table = Table("class", *names, "share of train", box=None, pad_edge=False)
    total = manifest.splits["train"].num_images
    for i, class_name in enumerate(manifest.classes[:MAX_CLASSES_SHOWN]):
        counts = [manifest.splits[name].num_by_class[i] for name in names]
        table.add_row(
            literal(class_name),
            *(f"{count:,}" for count in counts),
            f"{manifest.splits['train'].num_by_class[i] / total:.1%}",
        )
    if manifest.num_classes > MAX_CLASSES_SHOWN:
        table.add_row(f"… {manifest.num_classes - MAX_CLASSES_SHOWN} more", *("" for _ in names), "")
    table.add_row("[bold]all[/]", *(f"[bold]{manifest.splits[name].num_images:,}[/]" for name in names), "")
    return table


def _form(manifest: Manifest) -> str:
    """What lies on the disk for each image, and how much of it."""
    what = "the files as they came (encoded)" if manifest.is_encoded else "pixels at one size (decoded)"
    return f"{what}, {size_text(manifest.image_bytes or 0)}"


def _size(manifest: Manifest) -> str:
    return f"{manifest.sizes} {'gray' if manifest.channels == 1 else 'RGB'}"


def _counts(counts: object) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in dict(counts).items()) or "none"  # type: ignore[call-overload]


def _triple(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
