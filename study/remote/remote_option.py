"""The option `--address`: a command runs on the cluster that it names, else on this machine."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cluster.jobs import JobServer

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"

Address = Annotated[
    str | None,
    typer.Option(
        help=f"A cluster's dashboard, such as http://HEAD:8265; {ADDRESS_VARIABLE} where not given."
    ),
]
ClusterHome = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="STUDY_HOME on the cluster, where its environment does not say."),
]


def job_server(address: str | None) -> "JobServer | None":
    """The cluster that a command goes to; None for this machine."""
    from cluster.jobs import JobServer

    named = address or os.environ.get(ADDRESS_VARIABLE)
    return JobServer(named) if named else None


def with_remote_option(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options `--address` and `--home`, with which it runs on that cluster."""

    @functools.wraps(command)
    def run(*, address: str | None, home: str | None, **options: Any) -> None:
        server = job_server(address)
        if server is None:
            command(**options)
        else:
            _run_on_cluster(server, home)

    signature = inspect.signature(command)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _OPTIONS.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return run


_OPTIONS: dict[str, Any] = {"address": Address, "home": ClusterHome}


def _run_on_cluster(server: "JobServer", home: str | None) -> None:
    from study.remote.submission import home_of, run_command

    words = _without_options(sys.argv[1:])
    name = next((word for word in words[1:] if not word.startswith("-")), None)
    answer = run_command(words, server, home=home or home_of(server, name))
    print(answer.stdout, end="")
    print(answer.stderr, end="", file=sys.stderr)
    raise typer.Exit(answer.code)


def _without_options(words: list[str]) -> list[str]:
    """The command line without `--address` and `--home`, which are for this side."""
    kept, rest = [], iter(words)
    for word in rest:
        option, equals, _ = word.partition("=")
        if option.removeprefix("--") not in _OPTIONS or not option.startswith("--"):
            kept.append(word)
        elif not equals:
            next(rest, None)
    return kept
