"""The server's process: a socket, the application on it, and a clean end."""

import logging
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from study.errors import SpecError

KEEP_ALIVE_SECONDS = 75
"""How long a connection stays open without a request: longer than most clients keep one."""
BACKLOG = 1024
END_SECONDS = 2.0
"""That requests in hand get to be answered, beyond the time that each has."""
LARGEST_PORT = 65_535


@dataclass(frozen=True)
class Listening:
    """A socket that nobody else has; requests wait in it until somebody answers."""

    socket: socket.socket

    @property
    def address(self) -> str:
        """http://HOST:PORT"""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> Listening:
    """A socket on `host` and `port`, any free one for 0. Raises SpecError where it is not to be had."""
    if not 0 <= port <= LARGEST_PORT:
        raise SpecError(f"--port must lie in [0, {LARGEST_PORT:,}], got {port:,}; 0 is any free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SpecError(
            f"--host must be a name or an address of this machine, got {host!r}: {error}"
        ) from None
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise SpecError(
            f"port {port} of {host} cannot be used: {error.strerror}; choose another with --port, or any "
            "free one with --port 0"
        ) from None
    return Listening(opened)


def answer_requests(
    listening: Listening, app: FastAPI, *, seconds: float, started: Callable[[], None] = lambda: None
) -> None:
    """Answers until Ctrl-C or SIGTERM; then no more connections are taken, and requests in hand are answered.

    Each request takes `seconds` at most. `started` is called once requests can come.
    """
    listening.socket.listen(BACKLOG)
    server = http_server(app, seconds=seconds, started=started)
    try:
        server.run(sockets=[listening.socket])
    except KeyboardInterrupt:  # uvicorn hands on the signal that ended it, after all is done
        if not server.started:
            raise


def http_server(
    app: FastAPI, *, seconds: float, started: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """What speaks HTTP for the application; its log has failures alone. It hears Ctrl-C from `started` on."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(seconds + END_SECONDS),
    )
    return _Server(config, started)


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config, say_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = say_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn has it."""
        await super().startup(sockets)
        if self.started:
            self._say_started()
