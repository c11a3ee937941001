"""MLflow's pages in the browser, for the runs and models of STUDY_HOME."""

import os
import signal
import subprocess
import sys

from study.connections.mlflow_client import connect
from study.errors import TrackingError
from study.home import Home
from study.tracking.objective_view import experiments_page, links

PATIENCE_SECONDS = 10.0
"""How long MLflow's server may take to end."""


def serve_pages(port: int) -> None:
    """Runs MLflow's server on 127.0.0.1 until Ctrl-C. Raises TrackingError if there is nothing to show, or a
    server is there already.
    """
    home = Home.current()
    uri = home.tracking_uri
    if uri.startswith("http"):
        raise TrackingError(f"MLFLOW_TRACKING_URI names a server already: open {uri}")
    if (
        uri.startswith("sqlite:")
        and not (home.folder / "mlflow.db").exists()
        and "MLFLOW_TRACKING_URI" not in os.environ
    ):
        raise TrackingError(f"there are no runs in {home.folder} yet; a first study: study quickstart")
    pages = f"http://127.0.0.1:{port}"
    print(
        f"MLflow's pages on {experiments_page(pages)} (this takes some seconds; Ctrl-C ends it)", flush=True
    )
    command = [sys.executable, "-m", "mlflow", "server", "--default-artifact-root", home.artifacts.as_uri()]
    # Through the environment, as every user of a machine may read command lines, and the address may hold a
    # password. Its queue for jobs of language models would be seven processes more.
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
    }
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        env=environment,
        start_new_session=True,  # all of its processes end with it, whoever ends this one
    )
    try:
        _print_links(uri, pages)
        code = server.wait()
    finally:
        _end(server)
    if code != 0:
        raise TrackingError(
            f"MLflow's server ended with code {code}; is port {port} taken? Try: study ui --port {port + 1}"
        )


def _print_links(uri: str, pages: str) -> None:
    """A line for each dataset and objective, with the address at which the objective is the first column."""
    from mlflow.exceptions import MlflowException

    try:
        found = links(connect(uri), pages)
    except MlflowException:  # the server says what is wrong
        return
    for dataset, metric, address in found:
        print(f"studies on {dataset} by {metric}: {address}", flush=True)


def _end(server: subprocess.Popen[bytes]) -> None:
    for order, seconds in ((signal.SIGTERM, PATIENCE_SECONDS), (signal.SIGKILL, None)):
        try:
            os.killpg(server.pid, order)
        except ProcessLookupError:
            return
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
