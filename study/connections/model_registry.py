"""Reaching MLflow for what concerns registered models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from study.connections.database_url import masked
from study.connections.mlflow_client import check_reachable, connect
from study.errors import TrackingError, UnknownModelError
from study.home import Home

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def registry_of(home: Home) -> Iterator["MlflowClient"]:
    """An MlflowClient; inside, what MLflow raises becomes a TrackingError.

    Raises UnknownModelError where there is no database yet: none is made by looking for models.
    """
    from mlflow.exceptions import MlflowException

    uri = home.tracking_uri
    check_reachable(uri)
    if not has_database(home):
        raise UnknownModelError(f"there are no models in {home.folder} yet; a study registers its best one: study run SPEC")
    try:
        yield connect(uri)
    except MlflowException as error:
        raise TrackingError(f"MLflow at {masked(uri)} failed: {error.message}") from error


def has_database(home: Home) -> bool:
    """Whether MLflow's database was made; one that is no file is taken to be."""
    uri = home.tracking_uri
    return not uri.startswith("sqlite:") or Path(urlsplit(uri).path.removeprefix("/")).exists()
