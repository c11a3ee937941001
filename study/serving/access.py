"""Who may ask: a token where there is one, and no page of a stranger in somebody's browser."""

import hmac
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from study.errors import SpecError
from study.serving.refusals import RequestRefusedError
from trainables.printable import quoted

LEAST_TOKEN = 16
"""Characters."""
OPEN_PATHS = ("/", "/live", "/ready", "/ping", "/health")
"""Need no token: what machines ask for health, and the page, which asks for the token."""
OPEN_FOLDER = "/page/"

NoteRequest = Callable[[str, int, float], None]
"""Hears path, status and seconds of each request."""


def read_token(file: Path) -> str:
    """The token in a file. Raises SpecError where there is none, or one that is easily guessed."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(f"--token-file {quoted(str(file))} cannot be read: {reason}") from None
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise SpecError(
            f"a token must be at least {LEAST_TOKEN} printable ASCII characters without a space, and "
            f"{quoted(str(file))} holds no such one; make it: openssl rand -hex 32 > {file.name}"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Middleware that answers 401 and 403 itself, and says of each request how it ended."""

    def __init__(self, app: ASGIApp, *, token: str | None, paths: frozenset[str], note: NoteRequest) -> None:
        """`paths` are those that are counted by name."""
        self._app = app
        self._token = None if token is None else token.encode()
        self._paths = paths
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, path = time.perf_counter(), 500, scope["path"]

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refused = self._refusal(path, dict(scope["headers"]))
            if refused is None:
                await self._app(scope, receive, noted_send)
            else:
                await error_response(refused)(scope, receive, noted_send)
        finally:
            self._note(path if path in self._paths else "other", status, time.perf_counter() - start)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> RequestRefusedError | None:
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        if origin and urlsplit(origin).netloc != host:
            return RequestRefusedError(
                403, f"a page of {quoted(origin)} may not ask this server; ask it from a program"
            )
        if self._token is None:
            return None if _is_of_this_machine(host) else _foreign_host(host)
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return RequestRefusedError(
            401, "this server asks for its token; send the header Authorization: Bearer TOKEN"
        )


def error_response(refused: RequestRefusedError) -> JSONResponse:
    """What a refused request is answered."""
    headers = dict(refused.headers)
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(refused)}, refused.status, headers)


def _is_of_this_machine(host: str) -> bool:
    """Whether a request means this machine by an address, or as localhost.

    Any other name may be a stranger's that leads here, so that their page could read what is answered.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return not host or is_loopback(name)


def _foreign_host(host: str) -> RequestRefusedError:
    return RequestRefusedError(
        403,
        f"a server without a token is asked as localhost or 127.0.0.1, and this request names "
        f"{quoted(host)}; start it with --token-file",
    )
