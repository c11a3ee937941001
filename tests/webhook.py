"""A real webhook on this machine: a server that keeps what is posted to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What was posted, and what the server answers."""

    address: str = ""
    """Without a path."""
    told: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """Of all requests, also of those that were refused."""
    refusals: list[int] = field(default_factory=list)
    """Statuses that the next requests get, one each."""


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """The server, until the block ends."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.paths.append(self.path)
            status = webhook.refusals.pop(0) if webhook.refusals else 200
            if status == 200:
                assert self.headers["Content-Type"] == "application/json"
                webhook.told.append(json.loads(content))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    webhook.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
