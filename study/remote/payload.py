"""What a job brings to a cluster: our code, the study file, its search space and settings; never data."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cluster
import search_spaces
import study
import trainables
from cluster.jobs import JobServer
from cluster.working_dir import source_files
from study.connections.database_url import without_password
from study.connections.mlflow_account import identify
from study.errors import StudyError, TrackingError
from study.provenance import COMMIT_VARIABLE, commit
from study.remote.tracking_address import check_others_reach, check_tracking_is_a_server
from study.results.price import COST_VARIABLE
from study.user import SOURCE_VARIABLE, USER_VARIABLE
from study.yaml_file import yaml_text

if TYPE_CHECKING:  # commands that only ask a cluster need no study file
    from study.study_file.study_spec import StudySpec

SPEC_FILE = "study.yaml"
SPACE_FILE = "search_space.py"


def job_environment(
    server: JobServer, home: str | None, *, needs_tracking: bool = True, is_read: bool = False
) -> dict[str, str]:
    """The job's environment variables; never a password, as the dashboard shows all of them.

    What only reads notes nobody, so nobody asks MLflow who it is.
    """
    if home is not None and not Path(home).is_absolute():
        raise StudyError(f"--home takes the whole path of a folder that all nodes share, got {home!r}")
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI")
    if tracking_uri and needs_tracking:
        check_tracking_is_a_server(tracking_uri)
        check_others_reach(tracking_uri, server.address)
    if tracking_uri and without_password(tracking_uri) != tracking_uri:
        raise TrackingError(
            "MLFLOW_TRACKING_URI holds a password, which the cluster's dashboard would show; leave it out, "
            "and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where Ray is started"
        )
    person = identify(None if is_read else tracking_uri)
    variables = {
        "STUDY_HOME": home,
        "MLFLOW_TRACKING_URI": tracking_uri,
        USER_VARIABLE: person.user,
        SOURCE_VARIABLE: person.source,
        COMMIT_VARIABLE: commit(),
        COST_VARIABLE: None if is_read else os.environ.get(COST_VARIABLE),
    }
    # `ray job stop` then interrupts the driver as Ctrl-C does, and waits until it has written what it knows.
    variables |= {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
    return {name: value for name, value in variables.items() if value}


def source_code() -> dict[str, bytes]:
    """Our four packages, by path."""
    files: dict[str, bytes] = {}
    for package in (cluster, search_spaces, study, trainables):
        files |= source_files(Path(package.__path__[0]))
    return files


def study_files(spec: "StudySpec") -> dict[str, bytes]:
    """The study file with its defaults, and the person's own search space beside it."""
    if ":" not in spec.search_space:
        return {SPEC_FILE: yaml_text(spec.to_dict()).encode()}
    file, name = spec.search_space.rsplit(":", 1)
    moved = spec.model_copy(update={"search_space": f"{SPACE_FILE}:{name}"})
    return {SPEC_FILE: yaml_text(moved.to_dict()).encode(), SPACE_FILE: Path(file).read_bytes()}
