"""Commands on clusters: submitting studies, and looking at those that anybody submitted."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.remote.remote_option import Address, ClusterHome, job_server

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

    server = _server(address)
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
    from study.cli.reports.study_tables import print_studies
    from study.home import Home
    from study.remote.study_jobs import study_jobs
    from study.results.study_result import find_study, list_studies

    server = job_server(address)
    if server is not None:
        print_jobs(study_jobs(server, name), server.address, as_json=as_json)
    else:
        print_studies(
            list_studies(Home.current()) if name is None else [find_study(Home.current(), name)],
            as_json=as_json,
        )


@cluster_commands.command(rich_help_panel="On a cluster")
def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the study ends.")] = False,
    address: Address = None,
) -> None:
    """Show what a study on a cluster says as it runs.

    Example: study logs fer2013-freeze-depth -f
    """
    from study.remote.study_jobs import known_job, log_of

    server = _server(address)
    job = known_job(server, name)
    if follow:
        _follow(server, job.id)
    else:
        print(log_of(server, job.id), end="")


def resume_on_cluster(name: str, server: "JobServer", home: str | None) -> None:
    """Resumes a study on a cluster."""
    from study.cli.reports.cluster_jobs import print_submitted
    from study.remote.submission import resume_submitted

    print_submitted(resume_submitted(name, server, home=home, say=_aside), server.address)


def _server(address: str | None) -> "JobServer":
    from study.errors import StudyError
    from study.remote.remote_option import ADDRESS_VARIABLE

    server = job_server(address)
    if server is None:
        raise StudyError(
            f"which cluster? Give its dashboard with --address http://HEAD:8265, or set {ADDRESS_VARIABLE}"
        )
    return server


def _follow(server: "JobServer", job_id: str) -> None:
    from study.remote.replies import without_replies

    for text in server.follow(job_id):
        print(without_replies(text), end="", flush=True)
    if server.job(job_id).state != "SUCCEEDED":
        raise typer.Exit(1)


def _aside(text: str) -> None:
    print(text, file=sys.stderr)
