"""Datasets that a cluster adds: `study data add --on-cluster`, and `study data logs | stop`."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from study.remote.remote_option import Address, named_job_server

if TYPE_CHECKING:
    from study.remote.dataset_jobs import AddRequest

dataset_job_commands = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset.")]


@dataset_job_commands.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the dataset is added.")] = False,
    address: Address = None,
) -> None:
    """Show what a cluster says of a dataset that it adds.

    Example: study data logs fer2013 -f
    """
    from study.remote.dataset_jobs import adding_job, follow_adding
    from study.remote.study_jobs import log_of

    server = named_job_server(address)
    job = adding_job(server, name)
    if follow:
        _print_all(follow_adding(server, job.id))
    else:
        print(log_of(server, job.id), end="")


@dataset_job_commands.command()
def stop(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Also where somebody else asked for it.")] = False,
    address: Address = None,
) -> None:
    """Stop a cluster from adding a dataset. What it has read stays for the same command.

    Example: study data stop fer2013
    """
    from study.remote.dataset_jobs import stop_adding

    stop_adding(named_job_server(address), name, yes=yes)
    print(f"stopping; the same study data add goes on with what is read of {name}")


def add_there(request: "AddRequest", address: str | None, home: str | None) -> None:
    """Has a cluster add a dataset, and shows what it says until it has. Ctrl-C leaves it at work."""
    from study.remote.dataset_jobs import follow_adding, submit_adding

    server = named_job_server(address)
    begun = submit_adding(request, server, home=home, say=_aside)
    at = f" --address {server.address}"
    _aside(f"{request.name} is added on {server.address}, in {begun.home}; Ctrl-C leaves it at work")
    try:
        _print_all(follow_adding(server, begun.job))
    except KeyboardInterrupt:
        _aside(f"{request.name} is still being added on {server.address}")
        _aside(f"  study data logs {request.name} -f{at}  what it says, as it runs")
        _aside(f"  study data stop {request.name}{at}     an end; the same command goes on")
        raise


def _print_all(texts: Iterator[str]) -> None:
    for text in texts:
        print(text, end="", flush=True)


def _aside(text: str) -> None:
    print(text, file=sys.stderr)
