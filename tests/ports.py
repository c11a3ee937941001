"""Free ports, on a machine where others take them, too."""

import socket


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment; who starts a server on it tries again with another
    where that fails.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
