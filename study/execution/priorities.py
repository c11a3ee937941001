"""Priorities in the queue of a shared cluster: how high a person may set one."""

import os
from pathlib import Path

from cluster.connection import is_shared
from cluster.queue_policy import POLICY_VARIABLE, read_policy
from study.errors import StudyError

PRIORITY_IS = "its priority is now "
"""Begins what a study says whose priority was changed."""


def check_priority(priority: int, user: str) -> None:
    """Raises StudyError if the cluster's operator does not allow the person a priority as high as this one.

    On a cluster of one's own nobody waits, and each is allowed. Raises ClusterError for a policy that cannot
    be read.
    """
    file = policy_file() if is_shared() else None
    if file is None:
        return
    ceiling = read_policy(file).of(user).max_priority
    if ceiling is not None and priority > ceiling:
        raise StudyError(
            f"on this cluster {user} may give a study a priority of {ceiling} at most, got {priority}; take "
            f"{ceiling} or less, or ask the cluster's operator, whose policy is {file}"
        )


def policy_file() -> Path | None:
    """The operator's policy for the queue; None where there is none.

    Raises StudyError for a relative path.
    """
    named = os.environ.get(POLICY_VARIABLE)
    if not named:
        return None
    if not Path(named).is_absolute():
        raise StudyError(
            f"{POLICY_VARIABLE} is the absolute path of the policy that the cluster's operator writes, such "
            f"as /study/queue.yaml, got {named!r}; it is set where Ray is started"
        )
    return Path(named)
