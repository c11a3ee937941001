"""Who a person is by their account on an MLflow server, where the server has accounts."""

import base64
import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from study.user import SOURCE_VARIABLE, current_user

TIMEOUT_SECONDS = 5.0
AS_TOLD = "as told"
"""Nobody looked: the name is what STUDY_USER or the system says."""
VERIFIED = "verified by MLflow"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A person's name, and who says so."""

    user: str
    source: str
    """`verified by MLflow` or `as told`."""


def identify(tracking_uri: str | None) -> Identity:
    """The person of this process: the account, if the server says that name and password are right, or else
    as told. In a job it is whoever submitted it.
    """
    submitted = os.environ.get(SOURCE_VARIABLE)
    if submitted is not None:
        return Identity(user=current_user(), source=submitted)
    account = _verified_account(tracking_uri)
    if account is None:
        return Identity(user=current_user(), source=AS_TOLD)
    return Identity(user=account, source=VERIFIED)


def _verified_account(tracking_uri: str | None) -> str | None:
    name, password = (os.environ.get(f"MLFLOW_TRACKING_{what}") for what in ("USERNAME", "PASSWORD"))
    if not (name and password and tracking_uri and urlsplit(tracking_uri).scheme in ("http", "https")):
        return None
    login = base64.b64encode(f"{name}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"{tracking_uri.rstrip('/')}/api/2.0/mlflow/users/get?{urlencode({'username': name})}",
        headers={"Authorization": f"Basic {login}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            found = json.loads(answer.read())["user"]["username"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None  # it has no accounts, or refuses this one, which what follows will say
    return name if found == name else None
