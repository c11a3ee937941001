"""Ray's token, which opens a cluster: found where Ray itself looks for it.

https://docs.ray.io/en/latest/ray-security/token-auth.html
"""

import os
from pathlib import Path


def authorization() -> dict[str, str]:
    """The header of a request; none where this person has no token."""
    token = _token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def token_source() -> str:
    """Where the token stands, for a message."""
    return "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else str(token_file())


def token_file() -> Path:
    """The file that holds the token, whether or not it exists."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def has_token() -> bool:
    """Whether there is a token to show."""
    return bool(_token())


def _token() -> str:
    told = os.environ.get("RAY_AUTH_TOKEN")
    if told:
        return told
    try:
        return token_file().read_text(encoding="utf-8").strip()
    except OSError:
        return ""
