"""A registry with a tiny classifier of the digits, and its images as files."""

from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from registering_tiny import Registry, trained
from running_server import png

from study.connections.mlflow_client import connect
from study.home import Home
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier


@pytest.fixture(scope="session")
def classifier(digits_home: Home) -> Classifier:
    """One that is right for most digits."""
    return trained(digits_home, epochs=2)


@pytest.fixture(scope="session")
def registered(
    fresh_homes: FreshHomes, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    """A registry with one version, that is not written to."""
    registry = _registry(fresh_homes, tmp_path_factory.mktemp("served"))
    registry.add(classifier)
    return registry


@pytest.fixture
def registry(fresh_homes: FreshHomes, tmp_path: Path) -> Registry:
    """An empty registry of the test's own."""
    return _registry(fresh_homes, tmp_path)


@pytest.fixture(scope="session")
def digits(digits_home: Home) -> list[bytes]:
    """Forty different digits, as PNG files."""
    images = Dataset.open(digits_home.datasets / "digits").validation.images
    return [png(images[number]) for number in range(40)]


def _registry(fresh_homes: FreshHomes, folder: Path) -> Registry:
    home = fresh_homes.make(folder / "study-home", with_digits=True)
    return Registry(home, connect(home.tracking_uri))
