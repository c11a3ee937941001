"""The tables of an MLflow database on SQLite, without MLflow's migrations.

MLflow makes them by 68 migrations, one after the other, which takes seconds. `mlflow_tables.sql` holds what
comes of it, and is made anew by

    python -m study.connections.mlflow_tables > study/connections/mlflow_tables.sql
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

TABLES = Path(__file__).with_name("mlflow_tables.sql")
_MADE_FOR = "-- of the revision "
_REVISION = re.compile(r"^revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def make_tables(file: Path) -> bool:
    """Makes MLflow's tables in the empty database `file`, without an experiment.

    False, and nothing is made, where the installed MLflow has other tables than those that are stored here.
    """
    script = TABLES.read_text(encoding="utf-8")
    if script.partition("\n")[0] != _MADE_FOR + (last_revision() or ""):
        return False
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)
    return True


def last_revision() -> str | None:
    """The last of the migrations of the installed MLflow; None where they do not tell. Imports nothing."""
    mlflow = find_spec("mlflow")
    if mlflow is None or mlflow.origin is None:
        return None
    folder = Path(mlflow.origin).parent / "store" / "db_migrations" / "versions"
    texts = [one.read_text(encoding="utf-8") for one in folder.glob("*.py")]
    revisions = {one for text in texts for one in _REVISION.findall(text)}
    last = revisions - {one for text in texts for one in _BEFORE.findall(text)}
    return last.pop() if len(last) == 1 else None


def made_by_migrations(file: Path) -> None:
    """Has MLflow make its tables in the empty database `file`, as it does by itself."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{file}")  # type: ignore[no-untyped-call]
    _initialize_tables(engine)  # type: ignore[no-untyped-call]
    engine.dispose()


def dumped(file: Path) -> Iterator[str]:
    """The statements that make a database like `file`."""
    with closing(sqlite3.connect(file)) as database:
        yield from database.iterdump()


def main() -> None:
    """Prints what MLflow makes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        made_by_migrations(file)
        print(f"{_MADE_FOR}{last_revision()}")
        for statement in dumped(file):
            print(statement)


if __name__ == "__main__":
    main()
