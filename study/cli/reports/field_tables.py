"""What the commands on models at work print: exported files, audits, drift."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from study.cli.reports.final_tables import images_text
from study.cli.reports.terminal import console
from study.evaluation.test_result import Interval
from study.field.drift import Drift
from study.registry.exporting import Exported, Int8Loss
from study.registry.model_card import audit_sentences
from study.registry.subgroup_audit import VersionAudit
from study.safe_console import literal
from trainables.printable import printable

MAX_CLASSES = 12
"""Beyond so many, those whose share changed the most are shown."""


def print_exported(exported: Exported, *, as_json: bool) -> None:
    """The file, how it compares with the version, and what 8-bit integers cost."""
    if as_json:
        print(json.dumps(asdict(exported), indent=2))
        return
    out, one = console(), exported
    out.print(
        f"wrote {literal(one.file)}: {one.version} for {_RUNS[one.form]}, {one.num_bytes / 1e6:,.2f} MB"
    )
    out.print(literal(one.contents))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("compared on", f"{one.num_checked} {literal(one.checked_on)}")
    table.add_row("largest difference", f"{one.largest_difference:.1e} of a probability")
    version, file = one.latency_ms
    table.add_row("one image", f"{version:.2f} ms by the version, {file:.2f} ms by the file")
    if one.int8 is not None:
        _add_loss(table, one.int8)
    out.print(table)


def print_audit(found: VersionAudit, *, as_json: bool) -> None:
    """Accuracy, calibration and recalls of each subgroup; then the gaps."""
    if as_json:
        print(json.dumps({"version": found.version, **asdict(found.audit)}, indent=2))
        return
    out, audit = console(), found.audit
    column = literal(audit.column)
    out.print(
        f"[bold]{found.version}[/] by {column}, on the test split, which is not opened again:\n"
        f"{images_text(audit.num_images, audit.num_groups)}\n"
    )
    table = Table(column, "images", "accuracy", "calibration error", box=None, pad_edge=False)
    for one in audit.subgroups:
        table.add_row(
            f"{literal(one.name)}{' [dim](small)[/]' if one.is_small else ''}",
            f"{one.num_images:,}",
            _percent(one.accuracy, digits=1),
            f"{one.calibration_error.value:.3f} ({one.calibration_error.low:.3f} to "
            f"{one.calibration_error.high:.3f})",
        )
    out.print(table)
    out.print()
    recalls = Table("recall of", column, "images", "", box=None, pad_edge=False)
    for number, name in enumerate(row.name for row in audit.subgroups[0].classes):
        for index, one in enumerate(audit.subgroups):
            row = one.classes[number]
            recalls.add_row(
                literal(name) if index == 0 else "",
                literal(one.name),
                f"{row.num_images:,}",
                "none" if row.recall is None else _percent(row.recall),
            )
    out.print(recalls)
    out.print()
    for sentence in audit_sentences(audit):
        out.print(literal(sentence))


def print_drift(drift: Drift, sheet: Path, *, as_json: bool) -> None:
    """The parts with their tests, the shares of classes, and where the strangest images are."""
    if as_json:
        print(json.dumps({**asdict(drift), "is_alarm": drift.is_alarm, "sheet": str(sheet)}, indent=2))
        return
    out = console()
    for problem in drift.problems:
        print(f"left out: {printable(problem)}", file=sys.stderr)
    of = "" if drift.num_files == drift.num_images else f" of {drift.num_files:,}"
    out.print(f"[bold]{drift.version}[/]: {drift.num_images:,}{of} images of {literal(drift.folder)}")
    out.print(f"against {drift.num_known:,} of the validation split, which did not train it\n")
    table = Table("", "validation", "these", "distance", "p", "", box=None, pad_edge=False)
    for part in drift.parts:
        table.add_row(
            part.name,
            "" if part.known is None else f"{part.known:.3f}",
            "" if part.new is None else f"{part.new:.3f}",
            f"{part.distance:.3f}",
            f"{part.p_value:.2g}",
            "[bold]differs[/]" if part.is_beyond_chance else "",
        )
    out.print(table)
    out.print()
    classes = Table("taken for", "validation", "these", "change", box=None, pad_edge=False)
    by_change = sorted(drift.class_shares.items(), key=lambda row: -abs(row[1][1] - row[1][0]))
    for name, (known, new) in by_change[:MAX_CLASSES]:
        classes.add_row(literal(name), f"{known:.1%}", f"{new:.1%}", f"{100 * (new - known):+.1f}")
    out.print(classes)
    out.print()
    for remark in drift.remarks:
        out.print(f"[yellow]{literal(remark)}[/]")
    units = "" if drift.num_groups is None else f" over {sum(drift.num_groups):,} groups"
    verdict = (
        f"These images are not like those that {drift.version} was trained on"
        if drift.is_alarm
        else f"No difference from the images that {drift.version} was trained on is beyond chance"
    )
    out.print(
        f"{verdict}. ({len(drift.parts)} permutation tests{units}; together they alarm in at most "
        f"{drift.level:.0%} of cases where nothing differs.)"
    )
    out.print(f"the strangest: {literal(sheet)}", soft_wrap=True)
    out.print(f"Next: study label {literal(drift.folder)} --model {drift.version}", soft_wrap=True)


_RUNS = {"onnx": "ONNX Runtime", "torch": "torch.export.load"}


def _add_loss(table: Table, loss: Int8Loss) -> None:
    groups = "" if loss.num_groups is None else f" of {loss.num_groups:,} groups"
    table.add_row("accuracy", f"{_percent(loss.registered)} by the version")
    table.add_row("", f"{_percent(loss.exported)} by the file with 8-bit integers")
    change = "lost" if loss.points_lost >= 0 else "gained"
    table.add_row(
        "", f"{abs(loss.points_lost):.2f} points {change} (p = {loss.p_value:.2g}) on {loss.num_images:,}"
    )
    table.add_row("", f"images{groups} of the validation split")
    table.add_row("ranges", f"from {loss.num_calibrating:,} training images")


def _percent(interval: Interval, *, digits: int = 2) -> str:
    return f"{interval.value:.{digits}%} ({interval.low:.{digits}%} to {interval.high:.{digits}%})"
