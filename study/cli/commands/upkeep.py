"""Commands that look after a home."""

import sys
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from study.remote.remote_option import Address, ClusterHome, job_server, with_remote_option

if TYPE_CHECKING:
    from cluster.jobs import JobServer
    from study.cli.reports.finding_lines import Treated
    from study.doctor.finding import Finding
    from study.garbage.collection import Collected

upkeep_commands = typer.Typer()


@upkeep_commands.command()
@with_remote_option
def doctor(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of a study, a dataset or a model; the whole home.")
    ] = None,
    mend: Annotated[bool, typer.Option("--mend", help="Mend what can be mended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Say what killed processes, full disks and hands left wrong in STUDY_HOME, and what mending does.

    Example: study doctor --mend
    """
    from study.cli.reports.finding_lines import print_treated
    from study.doctor.examination import examine
    from study.home import Home

    home = Home.current()
    treated = _treated(list(examine(home, name)), mend=mend)
    print_treated(treated, place=str(home.folder), as_json=as_json)
    if not all(one.is_mended for one in treated):
        raise typer.Exit(1)


@upkeep_commands.command()
def gc(
    older_than: Annotated[
        str,
        typer.Option(metavar="AGE", help="What nobody needed for so long: hours, days or weeks."),
    ] = "30d",
    yes: Annotated[bool, typer.Option("--yes", help="Delete it.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, as without --yes.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show each piece, not the largest of a kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
    address: Address = None,
    home: ClusterHome = None,
) -> None:
    """Say what takes space and nothing needs: weights, checkpoints, copies, files of runs, jobs; delete it.

    Example: study gc --older-than 30d --yes
    """
    from study.cli.reports.garbage_tables import print_collected
    from study.errors import SpecError
    from study.garbage.collection import collect
    from study.garbage.piece import seconds_of
    from study.home import Home

    if yes and dry_run:
        raise SpecError("study gc takes --yes or --dry-run, not both")
    seconds = seconds_of(older_than)
    server = job_server(address)
    if server is None:
        place, rows = str(Home.current().folder), list(collect(Home.current(), seconds, delete=yes))
    else:
        place, rows = server.address, _collected_on(server, home, older_than, seconds, yes=yes)
    print_collected(rows, place=place, age=older_than, is_meant=yes, show_all=show_all, as_json=as_json)
    if any(one.failure is not None for one in rows):
        raise typer.Exit(1)


def _collected_on(
    server: "JobServer", home: str | None, age: str, seconds: float, *, yes: bool
) -> "list[Collected]":
    """What the head finds in its home, and the jobs that its job server lists."""
    from study.cli.reports.garbage_tables import read_rows
    from study.garbage.collection import treated
    from study.garbage.of_ray import ended_jobs
    from study.remote.job_lookup import home_of
    from study.remote.submission import run_command

    jobs = treated([("jobs", partial(ended_jobs, server, time.time() - seconds))], delete=yes)
    words = ["gc", "--older-than", age, "--yes" if yes else "--dry-run", "--json"]
    answer = run_command(words, server, home=home or home_of(server, None))
    if answer.code == 2:
        print(answer.stderr, end="", file=sys.stderr)
        raise typer.Exit(answer.code)
    return [*read_rows(answer.stdout), *jobs]


def _treated(findings: "Iterable[Finding]", *, mend: bool) -> "list[Treated]":
    from study.cli.reports.finding_lines import Treated
    from study.errors import StudyError
    from trainables.errors import TrainableError

    treated = []
    for finding in findings:
        if not mend or finding.mend is None:
            treated.append(Treated(finding=finding))
            continue
        try:
            finding.mend()
        except (StudyError, TrainableError, OSError) as error:
            treated.append(Treated(finding=finding, failure=str(error)))
        else:
            treated.append(Treated(finding=finding, is_mended=True))
    return treated
