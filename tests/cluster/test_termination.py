"""SIGTERM ends what a shell started in the background, too, where SIGINT is ignored."""

import signal

import pytest

from cluster.termination import terminations_as_interrupts


@pytest.mark.parametrize("of_interrupts", [signal.default_int_handler, signal.SIG_IGN])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_is_an_interrupt(sent: signal.Signals, of_interrupts: signal.Handlers) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, sent)}
    signal.signal(signal.SIGINT, of_interrupts)
    signal.signal(sent, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), terminations_as_interrupts():
            signal.raise_signal(sent)
        assert signal.getsignal(sent) == signal.SIG_DFL
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
