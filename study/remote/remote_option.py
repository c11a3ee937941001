"""Where a command runs: on the cluster that the option `--address` names, or on this machine."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from cluster.jobs import JobServer
    from study.remote.replies import Answer

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


def named_job_server(address: str | None) -> "JobServer":
    """The same for a command that goes nowhere else. Raises StudyError where nobody names a cluster."""
    server = job_server(address)
    if server is None:
        raise cluster_is_not_named()
    return server


def cluster_is_not_named() -> Exception:
    """The error of a command that needs a cluster."""
    from study.errors import StudyError

    return StudyError(
        f"which cluster? Give its dashboard with --address http://HEAD:8265, or set {ADDRESS_VARIABLE}"
    )


def with_remote_option(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options `--address` and `--home`, with which it runs on that cluster, as a job."""
    return _with_options(command, is_read=False)


def with_remote_reading(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that changes nothing: the cluster's desk answers it, faster than a job."""
    return _with_options(command, is_read=True)


def on_this_machine(command: Callable[..., None]) -> Callable[..., None]:
    """Lets a command that needs this machine's files say so where the environment names a cluster, which
    other commands go to.
    """

    @functools.wraps(command)
    def run(**options: Any) -> None:
        note_this_machine()
        command(**options)

    return run


def note_this_machine() -> None:
    """Says that a command is about this machine, where the environment names a cluster."""
    if os.environ.get(ADDRESS_VARIABLE):
        from study.home import Home

        print(
            f"note: this is about this machine and {Home.current().folder}, not about the cluster that "
            f"{ADDRESS_VARIABLE} names",
            file=sys.stderr,
        )


def _with_options(command: Callable[..., None], *, is_read: bool) -> Callable[..., None]:
    @functools.wraps(command)
    def run(*, address: str | None, home: str | None, **options: Any) -> None:
        server = job_server(address)
        if server is None:
            command(**options)
        else:
            _run_on_cluster(server, home, options.get("name"), is_read=is_read)

    signature = inspect.signature(command)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _OPTIONS.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return run


_OPTIONS: dict[str, Any] = {"address": Address, "home": ClusterHome}


def _run_on_cluster(server: "JobServer", home: str | None, name: str | None, *, is_read: bool) -> None:
    """`name` is the study that the command is about, if it is about one."""
    from study.remote.desk import ask_desk
    from study.remote.job_lookup import home_of

    words = _without_options(sys.argv[1:])
    home = home or home_of(server, name)
    answer = ask_desk(words, server, home=home) if is_read else None
    if answer is None:
        from study.remote.submission import run_command  # which takes a second to import

        answer = run_command(words, server, home=home)
    print_answer(answer)


def print_answer(answer: "Answer") -> NoReturn:
    """What a command printed on a cluster, as if it had been here, with its exit code."""
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
