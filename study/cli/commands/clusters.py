"""Commands on clusters: submitting studies, and looking at those that anybody submitted."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.cli.commands.own_words import Quiet
from study.cli.commands.watching import watch_on_cluster
from study.remote.remote_option import (
    Address,
    ClusterHome,
    cluster_is_not_named,
    job_server,
    named_job_server,
    with_remote_reading,
)

if TYPE_CHECKING:
    from cluster.jobs import JobServer

cluster_commands = typer.Typer()


@cluster_commands.command(rich_help_panel="On a cluster")
def submit(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A study file in YAML, or the name of a bundled study.")
    ],
    address: Address = None,
    home: ClusterHome = None,
    priority: Annotated[int, typer.Option(help="Studies of higher priority get trials first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Show what the study says until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Send a study to a cluster, which goes on with it when this machine is off.

    Example: study submit fer2013.yaml --address http://HEAD:8265 --home /shared/study
    """
    from study.cli.reports.cluster_jobs import print_submitted
    from study.planning.bundled_studies import find_study_file
    from study.remote.submission import submit_study

    server = named_job_server(address)
    submitted = submit_study(find_study_file(spec), server, home=home, priority=priority, say=_aside)
    if as_json:
        print(json.dumps({**asdict(submitted), "address": server.address}))
    else:
        print_submitted(submitted, server.address)
    if wait:
        _follow(server, submitted.job)


@cluster_commands.command(rich_help_panel="On a cluster")
def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One study; all of them without it.")
    ] = None,
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Say how far studies have come: on a cluster whose jobs they are, or in STUDY_HOME.

    Example: study status --address http://HEAD:8265
    """
    from study.cli.reports.cluster_jobs import print_jobs
    from study.cli.reports.study_list import print_studies
    from study.home import Home
    from study.remote.study_jobs import study_jobs
    from study.results.study_result import find_study, list_studies, not_archived

    server = job_server(address)
    if server is not None:
        print_jobs(study_jobs(server, name), server.address, as_json=as_json)
    else:
        print_studies(
            not_archived(list_studies(Home.current()))
            if name is None
            else [find_study(Home.current(), name)],
            as_json=as_json,
        )


@cluster_commands.command(rich_help_panel="On a cluster")
@with_remote_reading
def queue(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Show which studies hold the slots of a cluster, and which one gets the next.

    Example: study queue --address http://HEAD:8265
    """
    from cluster.connection import connected, is_shared
    from cluster.slot_queue import policy_problems, standings
    from study.cli.reports.cluster_jobs import print_queue

    if not is_shared():
        raise cluster_is_not_named()
    with connected():
        print_queue(standings(), policy_problems(), as_json=as_json)


@cluster_commands.command(rich_help_panel="On a cluster")
def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the study ends.")] = False,
    lines: Annotated[int | None, typer.Option(min=1, help="Only the last lines, without the rest.")] = None,
    quiet: Quiet = False,
    address: Address = None,
) -> None:
    """Show what a study on a cluster says as it runs; with --follow on a terminal, the view of `study watch`.

    Example: study logs fer2013-freeze-depth -f
    """
    from study.errors import SpecError
    from study.remote.study_jobs import end_of_log, known_job, log_of

    if follow and lines is not None:
        raise SpecError("study logs takes --follow, which begins with the first line, or --lines")
    server = named_job_server(address)
    job = known_job(server, name)
    if follow and sys.stdout.isatty() and not quiet and not job.has_ended:
        watch_on_cluster(name, server, None)
    elif follow:
        _follow(server, job.id)
    else:
        print(log_of(server, job.id) if lines is None else end_of_log(server, job, lines), end="")


def resume_on_cluster(name: str, server: "JobServer", home: str | None, *, yes: bool) -> None:
    """Resumes a study on a cluster, with `yes` also somebody else's."""
    from study.cli.reports.cluster_jobs import print_submitted
    from study.remote.submission import resume_submitted

    print_submitted(resume_submitted(name, server, home=home, yes=yes, say=_aside), server.address)


def _follow(server: "JobServer", job_id: str) -> None:
    from study.remote.replies import without_replies

    for text in server.follow(job_id):
        print(without_replies(text), end="", flush=True)
    if server.job(job_id).state != "SUCCEEDED":
        raise typer.Exit(1)


def _aside(text: str) -> None:
    print(text, file=sys.stderr)
