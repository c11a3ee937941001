"""Ray's authentication token, which opens a cluster: found where Ray itself looks for it.

Each call reads the environment and the file anew, so several threads may call.
https://docs.ray.io/en/latest/ray-security/token-auth.html
"""

import os
from contextlib import suppress
from pathlib import Path


def authorization_header() -> dict[str, str]:
    """The header that a request to the dashboard carries; empty where this person has no token."""
    token = _token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def has_token() -> bool:
    """Whether this person has a token."""
    return bool(_token())


def token_source() -> str:
    """Where the token stands, for a message: the name of a variable, or the path of a file."""
    return "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else str(_token_file())


def can_have_token() -> bool:
    """Whether this person has a token, or Ray can write one where it looks for it."""
    place = _token_file().absolute()
    while not place.exists():
        place = place.parent
    return has_token() or (place.is_dir() and os.access(place, os.W_OK))


def protect_token_file() -> None:
    """Lets its owner alone read the token's file, if there is one.

    Ray writes the file so that all users of the machine can read it. A file that this person cannot change,
    such as a mounted secret, stays as it is.
    """
    with suppress(OSError):
        _token_file().chmod(0o600)


def _token() -> str:
    token = os.environ.get("RAY_AUTH_TOKEN")
    if token:
        return token
    try:
        return _token_file().read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _token_file() -> Path:
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
