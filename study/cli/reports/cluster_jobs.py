"""What the terminal shows of studies on a cluster."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from study.cli.reports.terminal import console
from study.remote.study_jobs import StudyJob
from study.remote.submission import Submitted


def print_submitted(submitted: Submitted, address: str) -> None:
    """The study's name, where to look, and what to do next."""
    out, name = console(), submitted.study
    out.print(f"{name} runs on {address}, in {submitted.home or 'its STUDY_HOME'}\n")
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


def _since(moment: float) -> str:
    minutes = max(int((time.time() - moment) / 60), 0)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m"
