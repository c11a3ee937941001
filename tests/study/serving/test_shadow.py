"""A candidate beside the champion: counted and noted where it differs, never heard."""

import json
import time
from pathlib import Path

import pytest
from registering_tiny import Registry, trained
from running_server import PATIENCE_SECONDS, PNG, Running, running

from study.errors import SpecError
from study.home import Home
from study.registry.promotion import promote
from study.serving.beside import NUM_WAITING, Beside
from trainables.inference.classifier import Classifier


@pytest.fixture(scope="module")
def untrained(digits_home: Home) -> Classifier:
    """It names other digits than a trained one."""
    return trained(digits_home, epochs=1, learning_rate=1e-6)


def shadowed(served: Running) -> dict[str, float]:
    """Images by outcome."""
    lines = served.get("/metrics").body.decode().splitlines()
    return {
        line.split('"')[1]: float(line.split()[-1])
        for line in lines
        if line.startswith("study_serve_shadow_images_total{")
    }


def test_differences_are_counted_and_noted(
    registry: Registry, classifier: Classifier, untrained: Classifier, digits: list[bytes], tmp_path: Path
) -> None:
    registry.add(classifier)
    promote(registry.home, "digits", 1)
    registry.add(untrained)
    log = tmp_path / "differences.jsonl"
    ours, theirs = classifier.probabilities(digits), untrained.probabilities(digits)
    num_different = int((ours.argmax(1) != theirs.argmax(1)).sum())
    assert num_different, "the two are equal, and test nothing"
    with running(registry.home, shadow="digits@candidate", shadow_log=log) as served:
        assert served.composed.shadow is not None
        assert served.composed.shadow.candidate.version.number == 2
        for number, digit in enumerate(digits):
            tree = served.post("/predict", digit, PNG).tree
            assert tree["version"] == 1
            best = classifier.config.classes[int(ours[number].argmax())]
            assert tree["predictions"][0]["label"] == best
            _until_seen(served, number + 1)
        expected = {"same": float(len(digits) - num_different), "different": float(num_different)}
        assert {name: count for name, count in shadowed(served).items() if count} == {
            name: count for name, count in expected.items() if count
        }
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == num_different
    for row in rows:
        assert (row["champion"]["version"], row["candidate"]["version"]) == ("digits/1", "digits/2")
        assert row["champion"]["label"] != row["candidate"]["label"]
        assert row["image"].startswith("sha256:")
        assert sum(row["candidate"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def _until_seen(served: Running, num_images: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while sum(shadowed(served).values()) < num_images:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_shadow_with_other_classes_is_refused(registry: Registry, classifier: Classifier) -> None:
    registry.add(classifier)
    (registry.home.folder / "other").mkdir()
    with (
        pytest.raises(SpecError, match="cannot be written"),
        running(registry.home, shadow="digits/1", shadow_log=registry.home.folder / "none" / "log"),
    ):
        pass


def test_what_is_too_much_is_dropped_and_a_failure_stops_nothing() -> None:
    done: list[int] = []
    dropped: list[int] = []
    failed: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("the first one")
        done.append(item)

    beside = Beside[int]("test", work, dropped=dropped.append, failed=lambda item, _: failed.append(item))
    for item in range(NUM_WAITING + 3):
        beside.note(item)
    beside.start()
    beside.close()
    assert (failed, done) == ([0], list(range(1, NUM_WAITING)))
    assert dropped == [NUM_WAITING, NUM_WAITING + 1, NUM_WAITING + 2]
