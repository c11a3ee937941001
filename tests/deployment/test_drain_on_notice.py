"""EC2's notice that it takes a machine back becomes a drain; a server answers as its metadata does."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deployment_files import FOLDER

TOKEN = "a-session-token"


class Metadata(BaseHTTPRequestHandler):
    """Answers to who has asked for a token; there is a notice from the third look on."""

    looks = 0

    def do_PUT(self) -> None:
        """The token."""
        is_right = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200 if is_right else 400, TOKEN)

    def do_GET(self) -> None:
        """The notice."""
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self._answer(401, "")
            return
        Metadata.looks += 1
        has_notice = self.path == "/latest/meta-data/spot/instance-action" and Metadata.looks >= 3
        self._answer(200 if has_notice else 404, '{"action": "terminate"}')

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def metadata() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_node_is_drained_once_ec2_says_so(metadata: str, tmp_path: Path) -> None:
    ray = tmp_path / "ray"
    ray.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    ray.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "EC2_METADATA": metadata,
        "SECONDS_BETWEEN_LOOKS": "0.05",
    }
    done = subprocess.run(
        [FOLDER / "drain_on_notice.sh"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert Metadata.looks == 3
    assert done.stdout.splitlines()[:3] == ["drain-node", "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
