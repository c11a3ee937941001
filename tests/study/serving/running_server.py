"""A real server of a registered version, in a thread of the test, on a port of its own."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.home import Home
from study.serving.composition import Composed, Serving, compose
from study.serving.listening import http_server, listen

PATIENCE_SECONDS = 60
PNG = {"Content-Type": "image/png"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    body: bytes

    @property
    def tree(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.tree["error"])


@dataclass(frozen=True)
class Running:
    composed: Composed
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, body, headers)

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return asked_at(self.port, method, path, body, headers)


def asked_at(port: int, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        return reply_of(connection)
    finally:
        connection.close()


def reply_of(connection: http.client.HTTPConnection) -> Reply:
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, answer.read())


@contextmanager
def running(home: Home, model: str = "digits", **options: Any) -> Iterator[Running]:
    """A server that answers inside the block; `options` are those of `Serving`."""
    composed = compose(Serving(home=home.folder, model=model, **options), num_cores=2)
    listening = listen("127.0.0.1", 0)
    listening.socket.listen()
    server = http_server(composed.app, seconds=composed.serving.bounds.seconds)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening.socket]})
    thread.start()
    try:
        yield Running(composed, int(listening.address.rpartition(":")[2]))
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the server does not end"


def png(pixels: NDArray[np.uint8]) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels.squeeze()).save(content, "PNG")
    return content.getvalue()
