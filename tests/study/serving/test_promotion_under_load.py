"""A promotion takes effect on a server that answers: soon, whole, and no request is lost."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from registering_tiny import Registry, trained
from running_server import PATIENCE_SECONDS, PNG, Running, running

from study.home import Home
from study.registry.promotion import promote, rollback
from trainables.inference.classifier import Classifier

MOST_SECONDS = 5.0
NUM_CALLERS = 4


@dataclass
class Load:
    """What callers were answered, and when."""

    answers: list[tuple[float, int, list[list[float]]]] = field(default_factory=list)
    """Time, version, and the probabilities of the images."""
    failures: list[str] = field(default_factory=list)

    def versions(self) -> list[int]:
        """In the order of the answers, each once for as long as it answered."""
        found = [version for _, version, _ in sorted(self.answers, key=lambda one: one[0])]
        return [one for one, before in zip(found, [0, *found], strict=False) if one != before]

    def first(self, version: int, after: float) -> float:
        """When that version answered first after a moment."""
        return min(moment for moment, found, _ in self.answers if found == version and moment > after)


@contextmanager
def load(served: Running, files: list[bytes]) -> Iterator[Load]:
    """Callers that ask for several images at a time, without a pause."""
    found, is_over = Load(), threading.Event()
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + file + b"\r\n"
        for file in files
    ]
    body, headers = b"".join(parts) + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}

    def ask() -> None:
        while not is_over.is_set():
            try:
                reply = served.post("/predict", body, headers)
                tree = reply.tree
                rows = [list(one["probabilities"].values()) for one in tree["predictions"]]
                found.answers.append((time.monotonic(), tree["version"], rows))
            except Exception as error:  # noqa: BLE001  the test says what was lost
                found.failures.append(repr(error))

    callers = [threading.Thread(target=ask) for _ in range(NUM_CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield found
    finally:
        is_over.set()
        for caller in callers:
            caller.join(PATIENCE_SECONDS)


def until(served: Running, version: int) -> float:
    """The moment when the server says that this version answers."""
    end = time.monotonic() + PATIENCE_SECONDS
    while served.get("/ready").tree["version"] != version:
        assert time.monotonic() < end, served.get("/ready").tree
        time.sleep(0.05)
    return time.monotonic()


@pytest.fixture(scope="module")
def second(digits_home: Home) -> Classifier:
    return trained(digits_home, epochs=2, seed=1)


@pytest.mark.slow
def test_promotion_and_rollback_under_load(
    registry: Registry, classifier: Classifier, second: Classifier, digits: list[bytes]
) -> None:
    registry.add(classifier)
    registry.add(second)
    promote(registry.home, "digits", 1, force=True, reason="the test")
    files = digits[:6]
    expected = {1: classifier.probabilities(files), 2: second.probabilities(files)}
    with running(registry.home) as served, load(served, files) as found:
        assert served.get("/ready").tree["version"] == 1
        time.sleep(0.5)
        promote(registry.home, "digits", 2, force=True, reason="the test")
        promoted = time.monotonic()
        until(served, 2)
        time.sleep(0.5)
        rollback(registry.home, "digits", reason="the test")
        rolled_back = time.monotonic()
        until(served, 1)
        time.sleep(0.5)
    assert found.failures == []
    assert set(found.versions()) == {1, 2}
    assert found.first(2, promoted) - promoted < MOST_SECONDS
    assert found.first(1, rolled_back + MOST_SECONDS / 10) - rolled_back < MOST_SECONDS
    for _, version, rows in found.answers:
        assert np.array(rows) == pytest.approx(expected[version], abs=1e-5), "half of each"
    last = max(found.answers, key=lambda one: one[0])
    assert last[1] == 1


def test_without_the_registry_the_present_version_goes_on(
    registry: Registry, classifier: Classifier, second: Classifier, digits: list[bytes]
) -> None:
    registry.add(classifier)
    with running(registry.home, look_seconds=0.1) as served:
        database = registry.home.folder / "mlflow.db"
        away = database.rename(database.with_name("away.db"))
        _until_told(served, is_well=False)
        assert "digits/1 goes on answering" in served.get("/ready").tree["following"]
        assert "study_serve_following 0.0" in served.get("/metrics").body.decode()
        assert served.post("/predict", digits[0], PNG).tree["version"] == 1
        away.rename(database)
        _until_told(served, is_well=True)
        registry.add(second)  # there is no champion, so the newest version is meant
        until(served, 2)


def test_a_version_that_cannot_be_loaded_is_told_and_the_present_one_stays(
    registry: Registry, classifier: Classifier, second: Classifier, digits: list[bytes]
) -> None:
    registry.add(classifier)
    registry.add(second)
    promote(registry.home, "digits", 1, force=True, reason="the test")
    with running(registry.home, look_seconds=0.1) as served:
        found = registry.client.get_model_version_download_uri("digits", "2")
        weights = next(_folder(found).rglob("weights.pt"))
        weights.rename(weights.with_name("away"))
        promote(registry.home, "digits", 2, force=True, reason="the test")
        _until_told(served, is_well=False)
        assert served.post("/predict", digits[0], PNG).tree["version"] == 1
        rollback(registry.home, "digits", reason="the test")
        _until_told(served, is_well=True)
        assert served.post("/predict", digits[0], PNG).tree["version"] == 1


def test_one_named_version_stays(registry: Registry, classifier: Classifier, second: Classifier) -> None:
    registry.add(classifier)
    with running(registry.home, "digits/1", look_seconds=0.1) as served:
        registry.add(second)
        promote(registry.home, "digits", 2, force=True, reason="the test")
        time.sleep(1)
        assert served.get("/version").tree["version"] == 1


def _folder(address: str) -> Path:
    return Path(address.removeprefix("file://"))


def _until_told(served: Running, *, is_well: bool) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while (served.get("/ready").tree["following"] == "yes") != is_well:
        assert time.monotonic() < end
        time.sleep(0.05)
