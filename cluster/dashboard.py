"""The REST API of a cluster's dashboard: requests with a limit of time, and one message where one fails.

Ray's own clients wait for ever where a machine drops packets, and prefer `RAY_ADDRESS` to the address that
they are given. So the requests are made here, without importing Ray.
"""

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Mapping
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from cluster.auth_token import authorization_header, token_source
from cluster.errors import ClusterError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""A head that starts many jobs at once is slow to answer, but alive."""
EXAMPLE_ADDRESS = "http://HEAD:8265"
VERSION_PATH = "/api/version"
"""What every dashboard answers, and nothing else does."""


class Dashboard:
    """The dashboard at one address, such as http://HEAD:8265.

    It keeps no connection and no state, so several threads may use it. Every method raises ClusterError where
    nothing answers, where something else than Ray answers, and where the cluster refuses the token or the
    request.
    """

    def __init__(self, address: str) -> None:
        """Takes an address with or without its scheme. Raises ClusterError if it is no address."""
        self.address = _checked(address)
        """With its scheme, and without a slash at its end."""

    def check_reachable(self) -> None:
        """Connects once, within 5 s: a request to a machine that drops packets takes a minute to fail."""
        parts = urlsplit(self.address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
            return  # the proxy connects
        try:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
        except OSError as error:
            raise self._unreachable(error) from None

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path."""
        return self._object(self._answer("GET", path))

    def get_list(self, path: str) -> list[dict[str, Any]]:
        """The JSON list at a path."""
        found = self._parsed(self._answer("GET", path))
        if not isinstance(found, list):
            raise self.not_a_dashboard()
        return found

    def find(self, path: str) -> dict[str, Any] | None:
        """The JSON object at a path; None where the head knows no such path."""
        try:
            return self._object(self._send("GET", path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise self._refusal(error) from None

    def read(self, path: str, most_bytes: int) -> bytes:
        """The bytes at a path, of which no more than the first `most_bytes` are transferred."""
        try:
            return self._send("GET", path, most_bytes=most_bytes)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None

    def messages(self, path: str) -> Iterator[str]:
        """The texts that a WebSocket at a path sends, as they come, until the head closes it.

        Ctrl-C ends the wait for the next one with a KeyboardInterrupt.
        """
        import asyncio  # which few commands need

        texts = self._texts(path)

        async def next_text() -> str | None:
            return await anext(texts, None)

        with asyncio.Runner() as runner:  # which ends what waits, and closes the connection
            while (text := runner.run(next_text())) is not None:
                yield text

    def post(self, path: str, content: Mapping[str, Any] | None = None) -> None:
        """Sends a JSON object."""
        self._answer("POST", path, None if content is None else json.dumps(content).encode())

    def put(self, path: str, content: bytes) -> None:
        """Stores bytes at a path."""
        self._answer("PUT", path, content)

    def delete(self, path: str) -> None:
        """Deletes what is at a path."""
        self._answer("DELETE", path)

    def not_a_dashboard(self) -> ClusterError:
        """The error for an address where something else than Ray answers."""
        found = f"what answers at {self.address} is not Ray's dashboard"
        return ClusterError(f"{found}; give its address, such as {EXAMPLE_ADDRESS} (--address)")

    async def _texts(self, path: str) -> AsyncGenerator[str, None]:
        import aiohttp  # takes half a second to import, and few commands need it

        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        address = "ws" + self.address.removeprefix("http") + path
        try:
            async with (
                aiohttp.ClientSession(trust_env=True, timeout=limits) as session,
                session.ws_connect(
                    address, headers=authorization_header(), heartbeat=ANSWER_SECONDS, max_msg_size=0
                ) as socket_of_head,
            ):
                async for message in socket_of_head:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield message.data
        except aiohttp.WSServerHandshakeError as error:
            refused = urllib.error.HTTPError(address, error.status, error.message, Message(), None)
            raise self._refusal(refused) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    def _object(self, answer: bytes) -> dict[str, Any]:
        found = self._parsed(answer) if answer else {}
        if not isinstance(found, dict):
            raise self.not_a_dashboard()
        return found

    def _parsed(self, answer: bytes) -> object:
        try:
            return json.loads(answer)
        except ValueError:
            raise self.not_a_dashboard() from None

    def _answer(self, method: str, path: str, content: bytes | None = None) -> bytes:
        try:
            return self._send(method, path, content)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None

    def _send(
        self, method: str, path: str, content: bytes | None = None, *, most_bytes: int | None = None
    ) -> bytes:
        """The body of the answer. Raises HTTPError for a status of failure, ClusterError for no answer."""
        headers = {**authorization_header(), "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return bytes(response.read(most_bytes))
        except urllib.error.HTTPError:
            raise
        except http.client.HTTPException:
            raise self.not_a_dashboard() from None
        except (OSError, ValueError) as error:
            raise self._unreachable(getattr(error, "reason", error)) from None

    def _unreachable(self, reason: object) -> ClusterError:
        return ClusterError(
            f"no Ray cluster answers at {self.address} ({reason}); start its head with `ray start --head`, "
            "or correct --address (RAY_API_SERVER_ADDRESS)"
        )

    def _refusal(self, error: urllib.error.HTTPError) -> ClusterError:
        cluster = f"the Ray cluster at {self.address}"
        if error.code == 401:
            return ClusterError(
                f"{cluster} asks for its token, and there is none here; "
                "copy it from the head to ~/.ray/auth_token, or to a file that RAY_AUTH_TOKEN_PATH names"
            )
        if error.code == 403:
            refusal = f"{cluster} refuses the token in {token_source()}"
            return ClusterError(f"{refusal}; it was started with another: copy that one here")
        if error.code == 404 and urlsplit(error.url).path == VERSION_PATH:
            return self.not_a_dashboard()
        # The body is a traceback: its last line that says something is the reason.
        body = b"" if error.fp is None else error.read()
        lines = [line for line in body.decode(errors="replace").splitlines() if len(line) > 1]
        reason = lines[-1].strip() if lines else error.reason
        return ClusterError(f"{cluster} answers {error.code}: {reason}")


def _checked(address: str) -> str:
    """The address with its scheme and without a slash at its end. Raises ClusterError if it is no address."""
    whole = address if "://" in address else f"http://{address}"
    parts = urlsplit(whole)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        rule = f"the address of a cluster is that of its dashboard, such as {EXAMPLE_ADDRESS}"
        raise ClusterError(f"{rule}; got {address!r}")
    return whole.rstrip("/")
