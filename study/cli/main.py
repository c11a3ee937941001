"""The command line: `study COMMAND`. The one place where errors become text."""

import errno
import sys
from typing import Annotated

import typer

from cluster.termination import terminations_as_interrupts
from study.cli.commands.analysis import analysis_commands
from study.cli.commands.clusters import cluster_commands
from study.cli.commands.datasets import dataset_commands
from study.cli.commands.field import field_commands
from study.cli.commands.models import model_commands
from study.cli.commands.reporting import report_commands
from study.cli.commands.serving import serving_commands
from study.cli.commands.studies import study_commands
from study.cli.commands.study_edits import edit_commands
from study.cli.commands.upkeep import upkeep_commands
from study.cli.commands.watching import watching_commands
from study.errors import StopRequestedError
from trainables.printable import message_text, quoted

_OF_THE_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of a file system that say something of where a file shall be, and nothing of our code."""

app = typer.Typer(
    name="study",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(study_commands)
app.add_typer(report_commands)
app.add_typer(watching_commands)
app.add_typer(upkeep_commands)
app.add_typer(dataset_commands, name="data", rich_help_panel="Data and recipes")
for commands in (
    edit_commands,
    analysis_commands,
    model_commands,
    serving_commands,
    field_commands,
    cluster_commands,
):
    app.add_typer(commands)


def main() -> None:
    """Runs a command; a person's mistake is one message on stderr and exit code 2, no traceback."""
    try:
        with terminations_as_interrupts():
            app()
    except (KeyboardInterrupt, StopRequestedError):
        sys.exit(130)
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"error: {message_text(message)}", file=sys.stderr)
        sys.exit(2)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(f"study {version('study')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Hyperparameter studies for fine-tuning image classifiers, run by Ray Tune, recorded and registered by
    MLflow.
    """


def message_of(error: Exception) -> str | None:
    """The text of an error that a person can act on; None for a bug of ours."""
    from cluster.errors import ClusterError
    from search_spaces.errors import SpaceError
    from study.disk_space import is_disk_full
    from study.errors import StudyError
    from trainables.errors import TrainableError

    if isinstance(error, ClusterError | SpaceError | StudyError | TrainableError):
        return str(error)
    if is_disk_full(error):
        return f"no room is left on the disk ({error}); make some, and go on with `study resume NAME`"
    if isinstance(error, OSError) and error.errno in _OF_THE_PLACE and error.filename is not None:
        return (
            f"{quoted(str(error.filename))} cannot be used: {error.strerror}; choose another place, such as "
            "another STUDY_HOME or HOME, or change its rights"
        )
    return None
