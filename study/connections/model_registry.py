"""Connecting to MLflow's model registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from study.connections.mlflow_client import check_reachable, connect, failure_text
from study.connections.mlflow_database import is_whole, sqlite_file
from study.errors import TrackingError, UnknownModelError
from study.home import Home

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def registry_of(home: Home) -> Iterator["MlflowClient"]:
    """An MlflowClient; inside, an MlflowException becomes a TrackingError.

    Raises UnknownModelError where there is no database yet; looking for models does not create one.
    """
    from mlflow.exceptions import MlflowException

    uri = home.tracking_uri
    check_reachable(uri)
    if not has_database(home):
        raise UnknownModelError(
            f"there are no models in {home.folder} yet; a study registers its best one: study run SPEC"
        )
    try:
        yield connect(uri)
    except MlflowException as error:
        raise TrackingError(failure_text(uri, error)) from error


def has_whole_database(home: Home) -> bool:
    """Whether MLflow's database exists and is not half made, without making it."""
    file = sqlite_file(home.tracking_uri)
    return file is None or is_whole(file)


def has_database(home: Home) -> bool:
    """Whether MLflow's database exists; a server is taken to have one."""
    file = sqlite_file(home.tracking_uri)
    return file is None or file.exists()
