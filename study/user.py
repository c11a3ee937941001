"""The user: the person at this machine, or the one who submitted from another."""

import getpass
import os

USER_VARIABLE = "STUDY_USER"
"""Travels with a job, whose process runs under the cluster's own user."""


def current_user() -> str:
    """The name under which studies, edits and runs are noted."""
    return os.environ.get(USER_VARIABLE) or getpass.getuser()
