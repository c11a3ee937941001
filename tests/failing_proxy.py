"""A TCP server between a study and MLflow that a test can take down, slow down, or let answer errors.

As a program it stands before any address: `python tests/failing_proxy.py --port 5001 --to 127.0.0.1:5000`,
and takes `up`, `down`, `slow`, `errors` or `deaf` from its standard input.
"""

import argparse
import contextlib
import socket
import sys
import threading
import time
from typing import Literal

Mode = Literal["up", "down", "slow", "errors", "deaf"]
"""`down` refuses connections; `slow` takes 2 s for each request; `errors` answers 500; `deaf` hands a request
on and drops its answer."""
SLOW_SECONDS = 2.0
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FailingProxy:
    """Listens on a port of its own and hands each request on, one connection a request, as `mode` says at its
    beginning.
    """

    def __init__(self, host: str, port: int, *, listen: int = 0) -> None:
        self._target = (host, port)
        self._mode: Mode = "up"
        self._listener = _listener(listen)
        self.port: int = self._listener.getsockname()[1]
        self.num_requests = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def address(self) -> str:
        """What a study is told to log to."""
        return f"http://127.0.0.1:{self.port}"

    def switch(self, mode: Mode) -> None:
        """From now on requests fare like this; connections that are open are cut."""
        was_down, self._mode = self._mode == "down", mode
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if mode == "down":
            # A closed listener refuses, as a server that is not there does.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        elif was_down:
            self._listener = _listener(self.port)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        self.switch("down")

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with connection:
                request = _read_request(connection)
                if request:
                    self.num_requests += 1
                    self._answer(connection, request)
        except OSError:
            pass  # one of the two sides is gone, which is what this is for
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        mode = self._mode
        if mode == "errors":
            connection.sendall(_ERROR)
            return
        if mode == "slow":
            time.sleep(SLOW_SECONDS)
        with socket.create_connection(self._target, timeout=60) as server:
            server.sendall(request)
            while content := server.recv(65536):
                if mode != "deaf":
                    connection.sendall(content)


def _read_request(connection: socket.socket) -> bytes:
    """One request, which asks the server to close the connection after its answer."""
    connection.settimeout(60)
    content = b""
    while b"\r\n\r\n" not in content:
        part = connection.recv(65536)
        if not part:
            return b""
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    length = next(
        (int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0
    )
    is_chunked = any(line.lower() == b"transfer-encoding: chunked" for line in lines)
    while not body.endswith(b"0\r\n\r\n") if is_chunked else len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _listener(port: int) -> socket.socket:
    for _ in range(100):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except OSError:  # somebody has the port for a moment
            listener.close()
            time.sleep(0.1)
        else:
            return listener
    raise AssertionError(f"port {port} is taken")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--to", required=True)
    arguments = parser.parse_args()
    host, _, port = arguments.to.rpartition(":")
    proxy = FailingProxy(host, int(port), listen=arguments.port)
    print(proxy.address, flush=True)
    for line in sys.stdin:
        proxy.switch(line.strip())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
