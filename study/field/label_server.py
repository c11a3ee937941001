"""Serving the page of labels on this machine until a person ends it."""

import socket
import sys
from typing import Any

import uvicorn

from study.errors import SpecError
from study.field.label_application import label_application
from study.field.labelling import Labelling
from trainables.printable import printable

HOST = "127.0.0.1"


def serve_labels(labelling: Labelling, port: int = 0) -> None:
    """Serves the page on a port of loopback, a free one for 0, until Ctrl-C. Raises SpecError where the port
    is taken.
    """
    listening = _listening(port)
    _tell(labelling, listening.getsockname()[1])
    config = uvicorn.Config(
        label_application(labelling), log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    with listening:
        _Server(config).run(sockets=[listening])
    print(f"{labelling.num_labelled:,} labels in {printable(str(labelling.file))}")
    print(f"Next: study data add NAME --from {printable(str(labelling.file))}")


class _Server(uvicorn.Server):
    """Ends by Ctrl-C without raising it again, as every label is on the disk."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Of uvicorn: it would keep the signal, to raise it once the server has ended."""
        self.should_exit = True


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # who asks before the server is ready waits
    except (OSError, OverflowError) as error:
        listening.close()
        raise SpecError(f"--port must be one that is free, got {port}: {error}; leave it out") from error
    return listening


def _tell(labelling: Labelling, port: int) -> None:
    for name in labelling.strange:
        print(f"left out, as no CSV can hold its name: {printable(name)}", file=sys.stderr)
    if labelling.lost:
        print(
            f"{len(labelling.lost):,} labelled files are gone ({printable(labelling.lost[0])}); the next "
            "change leaves them out",
            file=sys.stderr,
        )
    print(f"{len(labelling.names):,} images, {labelling.num_labelled:,} labels")
    print(f"labels: http://{HOST}:{port}/  (Ctrl-C ends; every label is kept)", flush=True)
