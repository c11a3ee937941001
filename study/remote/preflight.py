"""Checks on the cluster before a study begins there: one message says what is wrong, and nothing is left
behind.
"""

import os
from pathlib import Path

from cluster.connection import connected
from study.disk_space import check_disk_space
from study.errors import StudyError
from study.execution.capacity import check_cluster_fits
from study.home import Home
from study.planning.plan import check_name_is_free, plan_study
from study.remote.tracking_address import check_tracking_is_a_server
from study.study_file.study_spec import StudySpec


def check_before_start(spec: StudySpec, *, is_new: bool) -> Home:
    """Checks the study against the cluster: its STUDY_HOME, which is returned, MLflow, datasets, GPUs.

    Raises StudyError, ClusterError, or what `plan_study` raises; changes nothing.
    """
    home = check_home()
    check_tracking_is_a_server(os.environ.get("MLFLOW_TRACKING_URI"))
    plan = plan_study(spec, home)
    if is_new:
        check_name_is_free(plan)
    _check_resources(spec)
    return home


def check_home() -> Home:
    """The cluster's STUDY_HOME. Raises StudyError if it is not named, cannot be written, or is full."""
    named = os.environ.get("STUDY_HOME")
    if not named or not Path(named).is_absolute():
        raise StudyError(
            f"STUDY_HOME is {named or 'not set'} on the cluster; it must name a folder that all nodes share: "
            "submit with --home /shared/folder, or set it where Ray is started"
        )
    home = Home.current()
    check_disk_space(home)
    return home


def _check_resources(spec: StudySpec) -> None:
    with connected():
        check_cluster_fits(spec.resources)
