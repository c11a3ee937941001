"""Fetching what a registered model holds."""

from pathlib import Path

from study.errors import SpecError
from study.home import Home
from study.tracking.client import addressed_to

WEIGHTS_FILE = "weights.pt"
"""As `trainables.prediction` names it; not imported from there, which would import torch."""


def fetch_weights(model: str, home: Home) -> Path:
    """The weights of a registered model (`models:/NAME/VERSION`, `models:/NAME@ALIAS`), copied into STUDY_HOME.

    Raises SpecError if there is no such model, or if no study made it.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    target = home.fetched_models / model.removeprefix("models:/").replace("/", "-")
    target.mkdir(parents=True, exist_ok=True)
    try:
        with addressed_to(home.tracking_uri):
            folder = Path(mlflow.artifacts.download_artifacts(model, dst_path=str(target)))
    except MlflowException as error:
        raise SpecError(f"weights {model!r} are not in MLflow at {home.tracking_uri}: {error.message}") from error
    found = next(folder.rglob(WEIGHTS_FILE), None)
    if found is None:
        raise SpecError(f"weights {model!r} must be a model that a study registered; this one holds no {WEIGHTS_FILE}")
    return found
