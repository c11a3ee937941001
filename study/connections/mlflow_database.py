"""The birth of MLflow's SQLite database: made beside its place, under a lock, and renamed once it is whole.

MLflow itself makes it in place, one migration after the other, for some six seconds: a process that dies
meanwhile, or a second one that begins, leaves a file that no later command can use.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from study.errors import TrackingError
from trainables.atomic import atomic_file


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of a SQLite database; None for an address of another kind."""
    parts = urlsplit(tracking_uri)
    return Path(parts.path.removeprefix("/")) if parts.scheme.split("+")[0] == "sqlite" else None


def make_if_missing(file: Path) -> None:
    """Makes MLflow's database at `file`, unless it is there; others who want it meanwhile wait.

    One whose making was cut off is put aside, under a name that says so. Raises TrackingError where the
    folder cannot be written to.
    """
    if _is_whole(file):
        return
    with _locked(file):
        if _is_whole(file):
            return
        if file.exists() and file.stat().st_size:
            file.rename(file.with_name(f"{file.name}.half-made-{time.strftime('%Y%m%d-%H%M%S')}"))
        _make(file)


def _is_whole(file: Path) -> bool:
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
        unfinished.unlink(missing_ok=True)  # of a process of the same number that died here
        # MLflow's own default is a folder `mlruns` wherever the command is typed.
        artifacts = (file.parent / "artifacts").absolute().as_uri()
        store = SqlAlchemyStore(f"sqlite:///{unfinished}", artifacts)  # type: ignore[no-untyped-call]
        store.engine.dispose()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
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
