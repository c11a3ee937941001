"""`study serve` as a process: what it prints, what it refuses, how it ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command_line import Study
from registering_tiny import Registry
from running_server import PATIENCE_SECONDS, PNG, reply_of

from study.home import Home


@contextmanager
def process(home: Home, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`study serve digits`, on any free port."""
    command = [sys.executable, "-m", "study.cli.main", "serve", "digits", "--port", "0", *map(str, options)]
    command[2:3] = ["-c", "from study.cli.main import main; main()"]
    del command[1]
    server = subprocess.Popen(
        command,
        env={**os.environ, "STUDY_HOME": str(home.folder), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield server
    finally:
        server.kill()
        server.communicate()


def told(server: subprocess.Popen[str]) -> dict[str, object]:
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, server.communicate()[1]
    return dict(json.loads(line))


def test_requests_in_hand_are_answered_when_it_ends(registered: Registry, digits: list[bytes]) -> None:
    with process(registered.home, "--json") as server:
        facts = told(server)
        assert (facts["model"], facts["version"]) == ("digits", 1)
        port = urlsplit(str(facts["address"])).port
        idle, slow = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS) for _ in range(2)
        )
        idle.request("POST", "/predict", digits[0], PNG)
        assert reply_of(idle).status == 200
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Length", str(len(digits[0])))
        slow.endheaders(digits[0][:10])
        while b"study_serve_waiting_requests 1.0" not in _metrics(port):
            pass
        server.send_signal(signal.SIGTERM)
        while _is_open(port):
            pass
        slow.send(digits[0][10:])
        assert reply_of(slow).status == 200
        out, err = server.communicate(timeout=PATIENCE_SECONDS)
        assert (server.returncode, out, err) == (0, "", "")


def _metrics(port: int | None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/metrics")
    return reply_of(connection).body


def _is_open(port: int | None) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port or 0), 1).close()
    except OSError:
        return False
    return True


def test_the_terminal_says_where_and_how_to_ask(registered: Registry) -> None:
    with process(registered.home) as server:
        assert server.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(server.stdout.readline())
            assert lines[-1], server.communicate()[1]
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=PATIENCE_SECONDS)
    text = "".join(lines)
    assert lines[0].startswith("digits/1, ")
    assert "answers at http://127.0.0.1:" in lines[0]
    assert "curl -F image=@picture.jpg http://127.0.0.1:" in text
    assert "within 5 s" in text
    assert all(len(line) <= 80 for line in lines), text
    assert (server.returncode, out, err) == (0, "ended; 0 requests answered\n", "")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--host", "0.0.0.0"), "requests must have a token"),
        (("--token-file", "none"), "cannot be read"),
        (("--port", "70000"), "must lie in [0, 65,535]"),
        (("--host", "no.such.host.invalid", "--token-file", "good"), "must be a name or an address"),
        (("--images-per-batch", "0"), "images per batch must be above 0"),
        (("--image-megapixels", "1000"), "89,478,485"),
        (("--waiting-mb", "1"), "no fewer bytes than one"),
        (("--shadow-log", "x"), "needs --shadow"),
        (("--record", "field", "--on-cluster"), "--record keeps a sample on one machine"),
        (("--record", "good"), "--record must name a folder"),
        (("--shadow", "digits@nobody"), "no version '@nobody'"),
    ],
)
def test_what_cannot_be_served_is_refused(
    study: Study,
    registered: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    rule: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text("0123456789abcdef", encoding="utf-8")
    done = study(registered.home, "serve", "digits", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert rule in done.stderr


def test_a_taken_port_and_an_unknown_model_are_told(study: Study, registered: Registry) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = study(registered.home, "serve", "digits", "--port", str(port))
        assert (done.returncode, f"port {port} of 127.0.0.1 cannot be used" in done.stderr) == (2, True)
    done = study(registered.home, "serve", "digit", "--port", "0")
    assert (done.returncode, "did you mean 'digits'" in done.stderr) == (2, True)
