"""Connecting to MLflow: a check before anything is spent, and the preparation of its database."""

import importlib.util
import logging
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from cluster.scoped_environment import scoped_environment
from study.connections.database_url import install_driver, masked
from study.connections.mlflow_database import make_if_missing, sqlite_file
from study.errors import TrackingError
from study.home import Home
from study.names import EXPERIMENT_KIND, NOTE, experiment_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.entities import PagedList

Found = TypeVar("Found")

TIMEOUT_SECONDS = 2.0
_NOT_LOGGED_IN = ("CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED")
_REFUSALS = ("PERMISSION_DENIED", *_NOT_LOGGED_IN)
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306}


def check_reachable(tracking_uri: str) -> None:
    """Raises TrackingError if nothing can be logged at `tracking_uri`.

    Takes seconds at most, and does not import MLflow.
    """
    parts = urlsplit(tracking_uri)
    scheme = parts.scheme.split("+")[0]
    if scheme in ("http", "https"):
        _check_http(tracking_uri)
    elif (file := sqlite_file(tracking_uri)) is not None:
        _check_sqlite(file)
    elif scheme in _DATABASE_PORTS:
        _check_driver(tracking_uri)
        _check_port(parts.hostname or "localhost", parts.port or _DATABASE_PORTS[scheme])
    elif scheme != "databricks":
        raise TrackingError(
            f"MLflow at {masked(tracking_uri)!r} cannot be used: MLFLOW_TRACKING_URI must start with "
            "http://, https://, sqlite:///, "
            "postgresql:// or mysql:// (MLflow keeps no runs in plain folders any more); unset it to log "
            "into STUDY_HOME"
        )


def connect(tracking_uri: str) -> "MlflowClient":
    """An MlflowClient for runs and registered models at `tracking_uri`.

    A SQLite database is made where there is none, or only the beginning of one. Raises TrackingError.
    """
    # MLflow reports its use to its makers unless it is told otherwise before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    # MLflow logs its tables and pages to the terminal, where a person watches trials, and a locked database
    # with a traceback.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    file = sqlite_file(tracking_uri)
    if file is not None:
        make_if_missing(file)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def all_pages(search: "Callable[..., PagedList[Found]]", **arguments: Any) -> Iterator[Found]:
    """All that one of a client's `search_…` methods finds, fetched page by page."""
    page = search(**arguments)
    yield from page
    while page.token:
        page = search(**arguments, page_token=page.token)
        yield from page


@contextmanager
def right_needed(tracking_uri: str, right: str) -> Iterator[None]:
    """Turns the refusal of an account inside into a TrackingError that names the `right` it lacks."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in _REFUSALS:
            raise
        raise TrackingError(_refusal_text(tracking_uri, error.error_code, right)) from error


def failure_text(tracking_uri: str, error: "MlflowException") -> str:
    """What went wrong at `tracking_uri`, in a sentence."""
    if error.error_code in _REFUSALS:
        return _refusal_text(tracking_uri, error.error_code, "a right on what this command reads or writes")
    return f"MLflow at {masked(tracking_uri)} failed: {error.message}"


def _refusal_text(tracking_uri: str, error_code: str, right: str) -> str:
    server, account = f"MLflow at {masked(tracking_uri)}", os.environ.get("MLFLOW_TRACKING_USERNAME")
    if account is None:
        return (
            f"{server} asks for an account: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "which whoever administers MLflow's accounts gives you"
        )
    if error_code in _NOT_LOGGED_IN:
        return (
            f"{server} knows no account {account!r} with this password; correct MLFLOW_TRACKING_USERNAME or "
            "MLFLOW_TRACKING_PASSWORD, or ask whoever administers MLflow's accounts"
        )
    return (
        f"{server} refuses {account!r}: this needs {right}. Ask whoever administers MLflow's accounts for it"
    )


@contextmanager
def tracking_errors(tracking_uri: str) -> Iterator[None]:
    """Turns an MlflowException inside into a TrackingError that says how to go on."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise TrackingError(
            f"{failure_text(tracking_uri, error)}; nothing measured is lost: once it works again, study "
            "resume goes on"
        ) from error


@contextmanager
def addressed_to(tracking_uri: str) -> Iterator[None]:
    """Inside, MLflow's own functions that take no client use this address; afterwards the earlier one is
    back.
    """
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("MLFLOW_REGISTRY_URI")
    # MLflow writes both addresses into the environment, where every later study of this process would read
    # them.
    with scoped_environment({"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_REGISTRY_URI": tracking_uri}):
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        try:
            yield
        finally:
            # None, which their types leave out, takes an address back.
            mlflow.set_tracking_uri(before[0])  # type: ignore[arg-type]
            mlflow.set_registry_uri(before[1])  # type: ignore[arg-type]


def prepare_experiment(client: "MlflowClient", home: Home, dataset: str, about: str | None = None) -> str:
    """The id of the dataset's experiment, which is created if it is missing, with `about` as its description.

    The first call on a fresh database also creates its tables; trials start after it, so that they do not
    race for that.
    """
    from mlflow.exceptions import MlflowException

    name = experiment_name(dataset)
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            client.create_experiment(
                name,
                artifact_location=artifact_location(client, home, name),
                tags={**EXPERIMENT_KIND, NOTE: about or _about(dataset)},
            )
        except MlflowException as error:  # another study made it in the meantime
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)
    assert found is not None, "it was made by now"
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the MLflow experiment {name!r} was deleted; restore it: mlflow experiments restore -x "
            f"{found.experiment_id}"
        )
    _check_artifacts(found.artifact_location)
    return str(found.experiment_id)


def _about(dataset: str) -> str:
    return (
        f"Studies on the dataset `{dataset}`. A run that has others below it is a study, and each of those "
        "is one trained configuration. The data: "
        f"`study data show {dataset}`; the studies: `study list`; the registered versions: "
        f"`study models {dataset}`"
    )


def artifact_location(client: "MlflowClient", home: Home, name: str) -> str | None:
    """For a database, a folder below MLFLOW_DEFAULT_ARTIFACT_ROOT or STUDY_HOME; a server decides itself."""
    if client.tracking_uri.startswith(("http", "databricks")):
        return None
    root = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or home.artifacts.as_uri()
    return f"{root.rstrip('/')}/{name}"


def _check_artifacts(location: str) -> None:
    if location.startswith("s3://") and importlib.util.find_spec("boto3") is None:
        raise TrackingError(
            f"MLflow keeps files at {location}, which needs the Python package boto3, which is not here: uv "
            "pip install boto3"
        )


def _check_http(tracking_uri: str) -> None:
    try:
        with urllib.request.urlopen(tracking_uri.rstrip("/") + "/health", timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        if error.code in (
            401,
            403,
        ):  # it is there; MLFLOW_TRACKING_USERNAME and _PASSWORD are its client's business
            return
        raise TrackingError(
            f"MLflow at {masked(tracking_uri)} answers {error.code} {error.reason}; is it an MLflow server?"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"MLflow at {masked(tracking_uri)} does not answer ({reason}); {_WAY_OUT}"
        ) from None


def _check_sqlite(file: Path) -> None:
    place = file.absolute()
    while not place.exists():
        place = place.parent
    if place != file.absolute() and not place.is_dir():
        raise TrackingError(f"MLflow's database cannot be made at {file}: {place} is not a folder")
    # SQLite writes its journal beside the database.
    for needed in dict.fromkeys((place, place if place.is_dir() else place.parent)):
        if not os.access(needed, os.W_OK):
            raise TrackingError(
                f"MLflow's database cannot be written at {file}: {needed} is read-only for you; choose "
                "another STUDY_HOME, or change its rights"
            )


def _check_driver(tracking_uri: str) -> None:
    way_out = install_driver(tracking_uri)
    if way_out is not None:
        raise TrackingError(f"MLflow at {masked(tracking_uri)} needs {way_out}")


def _check_port(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except OSError as error:
        raise TrackingError(
            f"MLflow's database at {host}:{port} does not answer ({error}); {_WAY_OUT}"
        ) from None


_WAY_OUT = "start it, correct MLFLOW_TRACKING_URI, or unset it to log into STUDY_HOME"
