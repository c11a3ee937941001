"""The same application by Ray Serve, on replicas."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from command_line import Study
from ports import free_port
from registering_tiny import Registry, trained
from running_server import PNG, Reply, asked_at

from cluster.errors import ClusterError
from cluster.replicas import Replicas
from study.registry.promotion import promote
from trainables.inference.classifier import Classifier

PATIENCE_SECONDS = 300


@pytest.mark.slow
def test_two_replicas_answer_and_follow_a_promotion(
    registry: Registry, classifier: Classifier, digits: list[bytes]
) -> None:
    registry.add(classifier)
    promote(registry.home, "digits", 1)
    registry.add(trained(registry.home, epochs=1, seed=1))
    command = [sys.executable, "-c", "from study.cli.main import main; main()", "serve", "digits"]
    server = subprocess.Popen(
        [*command, "--on-cluster", "--replicas", "2", "--port", str(free_port()), "--json"],
        env={**os.environ, "STUDY_HOME": str(registry.home.folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        facts = json.loads(server.stdout.readline())
        assert (facts["version"], facts["replicas"]) == (1, [2, 2])
        port = urlsplit(facts["address"]).port or 0

        def ask(number: int) -> Reply:
            return asked_at(port, "POST", "/predict", digits[number % len(digits)], PNG)

        with ThreadPoolExecutor(8) as callers:
            replies = list(callers.map(ask, range(200)))
        assert {reply.status for reply in replies} == {200}
        best = classifier.probabilities(digits).argmax(1)
        for number, reply in enumerate(replies):
            expected = classifier.config.classes[int(best[number % len(digits)])]
            assert reply.tree["predictions"][0]["label"] == expected
        end = time.monotonic() + PATIENCE_SECONDS  # on a busy machine the second one is up later
        while len({_process(port) for _ in range(40)}) != 2:
            assert time.monotonic() < end, "one replica answers all"
        promote(registry.home, "digits", 2, force=True, reason="the test")
        end = time.monotonic() + PATIENCE_SECONDS
        while {ask(0).tree["version"] for _ in range(20)} != {2}:
            assert time.monotonic() < end
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_SECONDS) == 0
    finally:
        server.kill()
        server.wait()


def _process(port: int) -> str:
    """When the process started that answered."""
    lines = asked_at(port, "GET", "/metrics", None, {}).body.decode().splitlines()
    return next(line for line in lines if line.startswith("process_start_time_seconds "))


@pytest.mark.parametrize(
    ("text", "gpus", "rule"),
    [
        ("0", 0, "1 or more"),
        ("3:2", 0, "1 or more"),
        ("x", 0, "LEAST:MOST"),
        ("1:4", 1.5, "fraction"),
        ("1", -1, "fraction"),
    ],
)
def test_impossible_replicas_are_refused(text: str, gpus: float, rule: str) -> None:
    with pytest.raises(ClusterError, match=rule):
        Replicas.of(text, cpus=1, gpus=gpus)


def test_bounds_of_replicas_are_read() -> None:
    found = Replicas.of("1:4", cpus=1, gpus=0.25)
    assert (found.least, found.most, found.gpus) == (1, 4, 0.25)


def test_without_ray_serve_it_says_how_to_install_it(
    study: Study, registered: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray.serve", None)
    done = study(registered.home, "serve", "digits", "--on-cluster")
    assert (done.returncode, "uv sync --extra serve" in done.stderr) == (2, True)
