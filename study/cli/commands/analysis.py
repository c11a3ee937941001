"""Commands that compare studies with each other."""

from typing import Annotated

import typer

from study.remote.remote_option import with_remote_reading

analysis_commands = typer.Typer()


@analysis_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_reading
def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Two studies or more.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show all columns, however wide.")] = False,
) -> None:
    """Compare studies: what differs, the best of each, its cost, and which values win where, across datasets.

    Example: study compare faces flowers
    """
    from study.analysis.side_by_side import compare_studies
    from study.cli.reports.comparison_of_studies import print_comparison
    from study.home import Home
    from study.results.study_result import find_studies

    print_comparison(compare_studies(find_studies(Home.current(), names)), as_json=as_json, show_all=show_all)
