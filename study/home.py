"""STUDY_HOME: the folder where everything lives that a study reads and writes."""

import os
from dataclasses import dataclass
from pathlib import Path

from study.errors import TrackingError
from trainables.printable import quoted

NOT_IN_AN_ADDRESS = ("?", "%")
"""What follows a question mark is no part of the file any more; MLflow's migrations read percent signs."""


@dataclass(frozen=True)
class Home:
    """The folder `STUDY_HOME`, `.study` in the current folder by default."""

    folder: Path

    @classmethod
    def current(cls) -> "Home":
        """The home that the environment names. Nothing is created."""
        return cls(Path(os.environ.get("STUDY_HOME") or ".study").absolute())

    @property
    def datasets(self) -> Path:
        """One folder for each dataset."""
        return self.folder / "datasets"

    @property
    def studies(self) -> Path:
        """One folder for each study."""
        return self.folder / "studies"

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: `MLFLOW_TRACKING_URI`, or a SQLite file here.

        Raises TrackingError where the address cannot name that file.
        """
        named = os.environ.get("MLFLOW_TRACKING_URI")
        if not named and (found := [one for one in NOT_IN_AN_ADDRESS if one in str(self.folder)]):
            raise TrackingError(
                f"STUDY_HOME is {quoted(str(self.folder))}, and the address of MLflow's database cannot name "
                f"a folder with {found[0]!r}; choose another folder, or set MLFLOW_TRACKING_URI to a server"
            )
        return named or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Where the embedded MLflow keeps pictures and models."""
        return self.folder / "artifacts"

    @property
    def ray_processes(self) -> Path:
        """Which processes of Ray the drivers on each machine have."""
        return self.folder / "ray_processes"

    @property
    def library_output(self) -> Path:
        """What Ray, MLflow and torch printed while the last driver of each study ran, where they did."""
        return self.folder / "library_output"

    @property
    def step_times(self) -> Path:
        """What steps of trainings took on each machine, by which studies are quoted."""
        return self.folder / "step_times"

    @property
    def drift_sheets(self) -> Path:
        """Contact sheets of the strangest images that `study drift` found."""
        return self.folder / "drift"

    @property
    def fetched_models(self) -> Path:
        """Copies of registered models that studies start from."""
        return self.folder / "fetched_models"
