"""STUDY_HOME: the folder where everything lives that a study reads and writes."""

import os
from dataclasses import dataclass
from pathlib import Path


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
        """MLflow's address: `MLFLOW_TRACKING_URI`, or a SQLite file here."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Where the embedded MLflow keeps pictures and models."""
        return self.folder / "artifacts"

    @property
    def fetched_models(self) -> Path:
        """Copies of registered models that studies start from."""
        return self.folder / "fetched_models"
