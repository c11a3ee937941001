"""An MLflow database of the tests' own."""

from dataclasses import dataclass
from typing import Any

from study.home import Home


@dataclass(frozen=True, kw_only=True)
class FreshMlflow:
    """A client of a fresh database with one experiment."""

    client: Any
    home: Home
    experiment_id: str

    def new_run(self) -> str:
        """The id of an empty run."""
        return str(self.client.create_run(self.experiment_id).info.run_id)
