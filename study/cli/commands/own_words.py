"""What a person reads while a study runs is the study's own words: what libraries print goes into a file.

Ray, MLflow and torch write to the standard streams from Python and from C++, in this process and in those
that it starts, so the streams themselves are turned aside.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from study.driver.progress import Progress

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Single lines in place of the view.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also what Ray, MLflow and torch print; no view.")
]


@contextmanager
def own_words(name: str, *, quiet: bool, verbose: bool) -> Iterator["Progress"]:
    """Inside, a study of that name tells its progress by what is yielded, and nothing else reaches the
    terminal.

    It is a view where standard output and standard error are a terminal, and else single lines, as with
    `quiet` and `verbose`. What libraries print is kept in STUDY_HOME, or with `verbose` comes in between.
    """
    from study.driver.progress import Progress
    from study.home import Home
    from study.safe_console import SafeConsole

    is_plain = quiet or verbose or not sys.stdout.isatty()
    if verbose or not _have_files():
        yield Progress(is_plain=is_plain)
        return
    with turned_aside(Home.current().library_output / f"{name}.log") as stream:
        yield Progress(SafeConsole(file=stream), is_plain=is_plain)


@contextmanager
def turned_aside(file: Path) -> Iterator[TextIO]:
    """Inside, what is written to the standard streams goes into `file`, and what is yielded writes to the
    standard error that was.

    The file is gone afterwards where nothing came. An unexpected error says where it lies.
    """
    made = [folder for folder in (file.parent, file.parent.parent) if not folder.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    streams = [(number, os.dup(number)) for number in (1, 2)]
    aside = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    try:
        for number, _ in streams:
            os.dup2(aside, number)
        encoding = sys.stderr.encoding
        with os.fdopen(os.dup(streams[1][1]), "w", encoding=encoding, errors="backslashreplace") as own:
            yield own
    except Exception as error:
        if os.fstat(aside).st_size:
            error.add_note(f"What libraries printed is in {file}")
        raise
    finally:
        _flush()
        for number, before in streams:
            os.dup2(before, number)
            os.close(before)
        is_empty = os.fstat(aside).st_size == 0
        os.close(aside)
        if is_empty:
            file.unlink(missing_ok=True)
            with suppress(OSError):  # a study that was refused leaves nothing
                for folder in made:
                    folder.rmdir()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _have_files() -> bool:
    """Whether the standard streams are the process's own, and not somebody's who reads them in Python."""
    try:
        return (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    except (OSError, ValueError, io.UnsupportedOperation):
        return False
