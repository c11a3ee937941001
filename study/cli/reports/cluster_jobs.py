"""What the terminal shows of studies on a cluster."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from study.cli.reports.terminal import Column, console, print_table
from study.remote.study_jobs import StudyJob

if TYPE_CHECKING:  # the first imports what a study file needs
    from cluster.slot_queue import Standing
    from study.remote.submission import Submitted


def print_submitted(submitted: "Submitted", address: str) -> None:
    """The study's name, where to look, and what to do next."""
    out, name = console(), submitted.study
    if submitted.home is None:
        out.print(f"{name} has finished, and nothing was left to do: study show {name} --address {address}")
        return
    out.print(f"{name} runs on {address}, in {submitted.home}\n")
    out.print(f"  dashboard   {address}/#/jobs/{submitted.job}")
    out.print(
        "  MLflow      "
        f"{os.environ.get('MLFLOW_TRACKING_URI') or 'as MLFLOW_TRACKING_URI says on the cluster'}"
    )
    out.print("\nNext:")
    at = f" --address {address}"
    for command, meaning in (
        (f"study status {name}{at}", "how far it has come"),
        (f"study logs {name} -f{at}", "what it says, as it runs"),
        (f"study show {name}{at}", "its leaderboard, its test result, its model"),
        (f"study stop {name}{at}", "an end in order; study resume goes on"),
    ):
        out.print(f"  {command:<{len(name) + len(at) + 16}} {meaning}")


def print_jobs(jobs: Sequence[StudyJob], address: str, *, as_json: bool = False) -> None:
    """One line for each study."""
    if as_json:
        print(json.dumps([asdict(job) for job in jobs], indent=2))
        return
    if not jobs:
        console().print(
            f"no study was submitted to {address} since its head was started; the first one: study submit "
            "SPEC"
        )
        return
    table = Table("study", "user", "priority", "state", "for", "says", box=None, pad_edge=False)
    for job in jobs:
        table.add_row(job.study, job.user, str(job.priority), job.state, _since(job.submitted), job.says)
    console().print(table)


def print_queue(
    tenants: Sequence["Standing"], problems: Sequence[str] = (), *, as_json: bool = False
) -> None:
    """One line for each study that holds slots or waits for some, in the order of service.

    `problems` are those of the operator's policy, which go to stderr.
    """
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps([asdict(one) for one in tenants], indent=2))
        return
    if not tenants:
        console().print("no study holds slots of this cluster or waits for some")
        return
    columns = (
        Column("study", [one.tenant for one in tenants]),
        Column("user", [one.user for one in tenants]),
        Column("priority", [_priority(one) for one in tenants]),
        Column("holds", [str(one.num_running) for one in tenants]),
        Column("may hold", [str(one.num_granted) for one in tenants]),
        Column("could use", [str(one.num_wanted) for one in tenants], 1),
        Column("waits", [_waits(one) for one in tenants]),
        Column("gives way to", [", ".join(one.pauses_for) for one in tenants], 2),
        Column("GPU hours", [_gpu_hours(one) for one in tenants], 3),
    )
    print_table(console(), [column for column in columns if any(column.cells)])


def _priority(one: "Standing") -> str:
    """Its own, and that of its first slot where it rose."""
    if one.is_over_budget:
        return f"{one.priority}, last"
    return (
        f"{one.priority} -> {one.first_priority}" if one.first_priority > one.priority else str(one.priority)
    )


def _gpu_hours(one: "Standing") -> str:
    allowed = one.gpu_hours_allowed
    return "" if allowed is None else f"{one.gpu_hours:.0f} of {allowed:g}"


def _waits(one: "Standing") -> str:
    if one.place is None:
        return ""
    return f"place {one.place}{', for a node' if one.awaits_node else ''}"


def _since(moment: float) -> str:
    minutes = max(int((time.time() - moment) / 60), 0)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m"
