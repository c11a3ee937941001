"""The command that writes a study's report."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.commands.study_edits import StudyName
from study.remote.remote_option import on_this_machine

report_commands = typer.Typer()


@report_commands.command()
@on_this_machine
def report(
    name: StudyName,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Where to write it; NAME-report.html in the current folder by default.", metavar="FILE"
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
) -> None:
    """Write a study's report: one HTML file with pictures, which needs no network and can be sent by mail.

    Example: study report quickstart --open
    """
    from study.disk_space import size_text
    from study.home import Home
    from study.report.report_file import write_report
    from study.results.study_result import find_study

    home = Home.current()
    file = to or Path(f"{name}-report.html")
    result = find_study(home, name)
    size = write_report(result, home, file)
    print(f"wrote {file} ({size_text(size)})")
    if opens:
        typer.launch(file.absolute().as_uri())
