"""The user: the person at this machine, or the one who submitted from another."""

import getpass
import os

from study.errors import StudyError

USER_VARIABLE = "STUDY_USER"
"""Travels with a job, whose process runs under the cluster's own user."""
SOURCE_VARIABLE = "STUDY_USER_SOURCE"
"""Travels with it: who says that it is that user."""


def current_user() -> str:
    """The name under which studies, edits and runs are noted."""
    return os.environ.get(USER_VARIABLE) or getpass.getuser()


def check_owner(name: str, owner: str, *, is_meant: bool, kind: str = "study") -> None:
    """Raises StudyError for what somebody else began, unless the person said that they mean it.

    This keeps colleagues from mistakes. It is no protection: whoever can submit can give another name.
    """
    own = {current_user()}
    if SOURCE_VARIABLE not in os.environ:  # else the account is the cluster's
        own.add(os.environ.get("MLFLOW_TRACKING_USERNAME", ""))
    if owner and owner not in own and not is_meant:
        raise StudyError(
            f"{kind} {name!r} is {owner}'s, and you are {current_user()}; if you mean it, add --yes, and "
            "your name is noted"
        )
