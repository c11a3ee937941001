"""What a job brings to a cluster: our code, the study file, its search space and settings; never data."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import cluster
import search_spaces
import study
import trainables
from cluster.jobs import JobServer
from cluster.working_dir import source_files
from study.connections.database_url import without_password
from study.errors import StudyError, TrackingError
from study.provenance import COMMIT_VARIABLE, commit
from study.remote.preflight import check_tracking_is_a_server
from study.study_file.study_spec import StudySpec
from study.user import USER_VARIABLE, current_user
from study.yaml_file import yaml_text

SPEC_FILE = "study.yaml"
SPACE_FILE = "search_space.py"


def job_environment(server: JobServer, home: str | None, *, needs_tracking: bool = True) -> dict[str, str]:
    """The job's environment variables; never a password, as the dashboard shows all of them."""
    if home is not None and not Path(home).is_absolute():
        raise StudyError(f"--home takes the whole path of a folder that all nodes share, got {home!r}")
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI")
    if tracking_uri and needs_tracking:
        check_tracking_is_a_server(tracking_uri)
        _check_others_reach(tracking_uri, server)
    if tracking_uri and without_password(tracking_uri) != tracking_uri:
        raise TrackingError(
            "MLFLOW_TRACKING_URI holds a password, which the cluster's dashboard would show; leave it out, "
            "and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where Ray is started"
        )
    variables = {
        "STUDY_HOME": home,
        "MLFLOW_TRACKING_URI": tracking_uri,
        USER_VARIABLE: current_user(),
        COMMIT_VARIABLE: commit(),
    }
    # `ray job stop` then interrupts the driver as Ctrl-C does, and waits until it has written what it knows.
    variables |= {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
    return {name: value for name, value in variables.items() if value}


def _check_others_reach(tracking_uri: str, server: JobServer) -> None:
    loopback = ("127.0.0.1", "localhost", "::1")
    if urlsplit(tracking_uri).hostname in loopback and urlsplit(server.address).hostname not in loopback:
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={tracking_uri} is this machine's own address, which the nodes of "
            f"{server.address} do not reach; "
            "name the server by the address they know, or unset it to use the cluster's"
        )


def source_code() -> dict[str, bytes]:
    """Our four packages, by path."""
    files: dict[str, bytes] = {}
    for package in (cluster, search_spaces, study, trainables):
        files |= source_files(Path(package.__path__[0]))
    return files


def study_files(spec: StudySpec) -> dict[str, bytes]:
    """The study file with its defaults, and the person's own search space beside it."""
    if ":" not in spec.search_space:
        return {SPEC_FILE: yaml_text(spec.to_dict()).encode()}
    file, name = spec.search_space.rsplit(":", 1)
    moved = spec.model_copy(update={"search_space": f"{SPACE_FILE}:{name}"})
    return {SPEC_FILE: yaml_text(moved.to_dict()).encode(), SPACE_FILE: Path(file).read_bytes()}
