"""Homes of tests: a STUDY_HOME whose MLflow has its tables already, with the digits or without.

MLflow takes seconds to be imported and to make its tables, so they are made once for a run of the tests and
copied.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from study.connections.mlflow_client import connect
from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


@dataclass(frozen=True)
class FreshHomes:
    """Makes homes from what lies in one folder, which all processes of a run of the tests share."""

    shared: Path

    def make(self, folder: Path, *, with_digits: bool = False) -> Home:
        """A home in `folder`, which may exist; nothing of it is shared."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.mlflow_tables, folder / "mlflow.db")
        home = Home(folder)
        if with_digits:
            shutil.copytree(self.digits.datasets / "digits", home.datasets / "digits")
        return home

    @property
    def mlflow_tables(self) -> Path:
        """A SQLite file with MLflow's tables and nothing in them; it is copied, never opened."""
        return self._made("mlflow.db", lambda file: connect(f"sqlite:///{file}").search_experiments())

    @property
    def digits(self) -> Home:
        """A home that holds the dataset digits, which nobody writes to."""
        return Home(
            self._made(
                "digits", lambda folder: add_dataset(Home(folder).datasets, "digits", None, AddOptions())
            )
        )

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        """Made by the first process that asks, in a place of its own until it is whole."""
        place = self.shared / name
        with _locked(self.shared / f"{name}.lock"):
            if not place.exists():
                unfinished = self.shared / f"unfinished-{name}"
                make(unfinished)
                unfinished.rename(place)
        return place


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Inside, no other process has the file; a process that dies lets go of it."""
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
