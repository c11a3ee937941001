"""SIGTERM and SIGHUP mean what Ctrl-C means: systemd, Docker, batch systems, closed terminals send them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminations_as_interrupts() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise KeyboardInterrupt, or whatever SIGINT does at that moment.

    A signal that is ignored, as SIGHUP under `nohup`, stays ignored. Without effect outside of the main
    thread, to which Python gives all signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    replaced = {one: handler for one, handler in before.items() if handler is not signal.SIG_IGN}
    for one in replaced:
        signal.signal(one, _interrupt)
    try:
        yield
    finally:
        for one, handler in replaced.items():
            signal.signal(one, handler if handler is not None else signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    if not callable(signal.getsignal(signal.SIGINT)):
        raise KeyboardInterrupt  # a shell has the jobs that it starts with `&` ignore SIGINT
    signal.raise_signal(signal.SIGINT)
