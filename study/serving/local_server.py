"""`study serve` on this machine: one process that loads a version and answers requests."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cluster.connection import num_cores
from study.errors import SpecError
from study.serving.access import is_loopback, read_token
from study.serving.composition import Composed, Serving, check_serving, compose, use_own_threads
from study.serving.listening import answer_requests, listen

Started = Callable[[Composed, str], None]
"""Hears what answers from now on, and at which address."""


def serve_here(serving: Serving, host: str, port: int, token_file: Path | None, started: Started) -> Composed:
    """Answers requests until Ctrl-C or SIGTERM, and returns what answered them.

    What a person got wrong is said before anything is loaded. Raises SpecError for an address or a token that
    cannot be used, and what `compose` raises.
    """
    check_token(host, token_file)
    check_serving(serving)
    if token_file is not None:
        serving = replace(serving, token=read_token(token_file))
    listening = listen(host, port)
    with closing(listening.socket):
        use_own_threads(serving, num_cores())
        composed = compose(serving, num_cores())
        answer_requests(
            listening,
            composed.app,
            seconds=serving.bounds.seconds,
            started=lambda: started(composed, listening.address),
        )
    return composed


def check_token(host: str, token_file: Path | None) -> None:
    """Raises SpecError where others could ask without a token."""
    if token_file is None and not is_loopback(host):
        raise SpecError(
            f"--host {host} is reached by others, so requests must have a token: make one with `openssl rand "
            "-hex 32 > token` and add --token-file token, or leave --host out for this machine alone"
        )
