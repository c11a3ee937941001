"""A network between a person and a cluster: it counts what comes back, and can be cut."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Hands connections on to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.num_bytes = 0
        """That came back."""
        self._port = port
        self._is_whole = threading.Event()
        self._is_whole.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told: packets are lost."""
        self._is_whole.clear()

    def mend(self) -> None:
        """All passes again, also what was sent meanwhile."""
        self._is_whole.set()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._is_whole.wait()
        far = socket.create_connection(("127.0.0.1", self._port))
        threading.Thread(target=self._hand_on, args=(near, far, False), daemon=True).start()
        threading.Thread(target=self._hand_on, args=(far, near, True), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                self._is_whole.wait()
                self.num_bytes += len(content) if counts else 0
                target.sendall(content)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
