"""The birth of MLflow's SQLite database: made beside its place, under a lock, and renamed once it is whole.

MLflow itself makes it in place, one migration after the other, for seconds: a process that dies meanwhile, or
a second one that begins, leaves a file that no later command can use.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from study.connections.mlflow_tables import make_tables
from study.errors import TrackingError
from trainables.atomic import atomic_file

ASIDE = ".half-made-"
"""In the name of a database whose making was cut off."""


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of a SQLite database; None for an address of another kind."""
    parts = urlsplit(tracking_uri)
    return Path(parts.path.removeprefix("/")) if parts.scheme.split("+")[0] == "sqlite" else None


def make_if_missing(file: Path) -> None:
    """Makes MLflow's database at `file`, unless it is there; others who want it meanwhile wait.

    One whose making was cut off is put aside, under a name that says so. Raises TrackingError where the
    folder cannot be written to.
    """
    if is_whole(file):
        return
    with _locked(file):
        if is_whole(file):
            return
        if file.exists() and file.stat().st_size:
            file.rename(file.with_name(f"{file.name}{ASIDE}{time.strftime('%Y%m%d-%H%M%S')}"))
        _make(file)


def half_made(file: Path) -> tuple[Path, ...]:
    """What cut-off makings of the database at `file` left beside it."""
    aside = sorted(file.parent.glob(f"{file.name}{ASIDE}*"))
    if not _lock_of(file).exists():
        return tuple(aside)
    with _locked(file):  # whoever makes it now holds the lock
        unfinished = [one for one in file.parent.glob(f".{file.name}.*") if one != _lock_of(file)]
        return (*sorted(unfinished), *aside)


def is_whole(file: Path) -> bool:
    """Whether MLflow has come to the end of making it, which is its first experiment."""
    if not file.exists() or file.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            return database.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
        except sqlite3.DatabaseError as error:
            return "no such table" not in str(error)  # locked, or no database: MLflow says what it thinks


def _make(file: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with atomic_file(file) as unfinished:
        make_tables(unfinished)  # MLflow makes those that are not there by now
        # MLflow's own default is a folder `mlruns` wherever the command is typed.
        artifacts = (file.parent / "artifacts").absolute().as_uri()
        store = SqlAlchemyStore(f"sqlite:///{unfinished}", artifacts)  # type: ignore[no-untyped-call]
        store.engine.dispose()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(_lock_of(file), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TrackingError(
            f"MLflow's database cannot be made at {file} ({error.strerror}); make the folder writable, or "
            "name another with STUDY_HOME"
        ) from None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")
