"""Commands that show a study while it runs, and leave it alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from study.cli.commands.own_words import Quiet
from study.cli.commands.study_edits import StudyName
from study.remote.remote_option import Address, ClusterHome, job_server

if TYPE_CHECKING:
    from cluster.jobs import JobServer
    from study.live.showing import Source
    from study.live.state import LiveState

watching_commands = typer.Typer()

SECONDS_BETWEEN_ANSWERS = 2.0
"""Of a cluster's desk."""
SECONDS_BETWEEN_LOOKS = 1.0
"""Into a folder."""


@watching_commands.command()
def watch(
    name: StudyName,
    once: Annotated[bool, typer.Option("--once", help="Show how it goes now, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: JSON for a program to read.")] = False,
    quiet: Quiet = False,
    address: Address = None,
    home: ClusterHome = None,
) -> None:
    """Show how a study goes, here or on a cluster, until it ends; Ctrl-C ends the view, not the study.

    Example: study watch fer2013-freeze-depth
    """
    from study.errors import SpecError
    from study.home import Home
    from study.live.reading import LiveReader

    if as_json and not once:
        raise SpecError("study watch --json prints one state: study watch NAME --once --json")
    server = job_server(address)
    if server is None:
        source, place = LiveReader.of(Home.current(), name).read, f"the folder of {name}"
    else:
        from study.remote.live_states import remote_source

        source, place = remote_source(name, server, home), f"the cluster at {server.address}"
    if once:
        _show(source(), as_json=as_json)
        return
    seconds = SECONDS_BETWEEN_LOOKS if server is None else SECONDS_BETWEEN_ANSWERS
    show_until_ended(source, place, seconds, is_plain=quiet)


def show_until_ended(source: "Source", place: str, seconds: float, *, is_plain: bool) -> None:
    """Shows a study until nobody drives it any more, and then how it ended."""
    from study.live.showing import is_screen, watch
    from study.live.view import ended_line
    from study.safe_console import SafeConsole

    out = SafeConsole(highlight=False)
    last = watch(source, out, place=place, seconds=seconds, is_plain=is_plain)
    if is_screen(out) and not is_plain:
        _show(last, as_json=False)
    print(ended_line(last))
    if last.state != "finished":
        raise typer.Exit(1)


def watch_on_cluster(name: str, server: "JobServer", home: str | None) -> None:
    """The view of a study on a cluster, until it ends there."""
    from study.remote.live_states import remote_source

    source = remote_source(name, server, home)
    show_until_ended(source, f"the cluster at {server.address}", SECONDS_BETWEEN_ANSWERS, is_plain=False)


def _show(state: "LiveState", *, as_json: bool) -> None:
    from study.cli.reports.terminal import console
    from study.live.showing import print_state

    if as_json:
        print(state.to_json())
    else:
        print_state(state, console())
