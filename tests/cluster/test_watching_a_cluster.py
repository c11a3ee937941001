"""Watching a study of a cluster from a laptop, through a cut of the network."""

import os
import sys
import time
from collections.abc import Iterator

import pytest
from driven_study import DrivenStudy
from laptop import Laptop
from proxies import Proxy
from terminal import InTerminal

from study.live.state import LiveState

pytestmark = pytest.mark.slow  # a head, a node and a server start for it

CUT_SECONDS = 10.0


@pytest.fixture
def proxy(laptop: Laptop) -> Iterator[Proxy]:
    made = Proxy(int(laptop.cluster.address.rsplit(":", 1)[1]))
    yield made
    made.close()


@pytest.fixture
def driven(laptop: Laptop) -> Iterator[DrivenStudy]:
    """A study in the cluster's STUDY_HOME."""
    study = DrivenStudy(laptop.home)
    yield study
    study.end()


def test_a_watcher_waits_through_a_cut_of_the_network(
    laptop: Laptop, proxy: Proxy, driven: DrivenStudy
) -> None:
    driven.report(1, 0.4)
    at = ("--address", proxy.address, "--home", str(laptop.home.folder))
    once = laptop.study("watch", "seen", "--once", "--json", *at)
    state = LiveState.from_json(once.stdout)
    assert (state.study, state.best is not None and state.best.value) == ("seen", 0.4)
    unknown = laptop.study("watch", "none", "--once", *at)
    assert (unknown.returncode, "unknown study 'none'" in unknown.stderr) == (2, True), unknown

    command = [sys.executable, "-c", "from study.cli.main import main; main()", "watch", "seen", *at]
    environment = {
        **laptop.cluster.client_environment,
        "MLFLOW_TRACKING_URI": laptop.mlflow,
        "STUDY_HOME": str(laptop.folder / "laptop"),
        "STUDY_USER": "ben",
    }
    assert "RAY_ADDRESS" not in os.environ
    watching = InTerminal(command, environment)
    try:
        watching.wait_for(lambda terminal: "macro_f1 0.4000" in "\n".join(terminal.screen))
        driven.report(2, 0.5)
        begun = time.monotonic()
        watching.wait_for(lambda terminal: "macro_f1 0.5000" in "\n".join(terminal.screen))
        print(f"seconds until a report is seen: {time.monotonic() - begun:.1f}")
        proxy.cut()
        driven.report(3, 0.6)
        cut_at = time.monotonic()
        watching.wait_for(lambda terminal: "waiting: no answer for" in "\n".join(terminal.screen))
        assert "macro_f1 0.5000" in "\n".join(watching.terminal.screen)
        time.sleep(max(CUT_SECONDS - (time.monotonic() - cut_at), 0))
        proxy.mend()
        watching.wait_for(lambda terminal: "macro_f1 0.6000" in "\n".join(terminal.screen))
        watching.wait_for(lambda terminal: "no answer" not in "\n".join(terminal.screen))
        driven.end()
        assert watching.end() == 1
    finally:
        watching.close()
    assert not watching.terminal.is_second_screen
    assert watching.terminal.is_cursor_shown
    assert "seen on digits: interrupted" in watching.terminal.text
