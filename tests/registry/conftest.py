"""Registries with tiny classifiers of the digits, on real MLflow."""

from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from registering_tiny import Registry, trained

from study.connections.mlflow_client import connect
from study.home import Home
from trainables.inference.classifier import Classifier


@pytest.fixture(scope="session")
def classifier(digits_home: Home) -> Classifier:
    """One that is right for most digits."""
    return trained(digits_home, epochs=4)


@pytest.fixture(scope="session")
def registered(
    fresh_homes: FreshHomes, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    """A registry with one version, on SQLite, that is not written to."""
    registry = _registry(fresh_homes, tmp_path_factory.mktemp("registered"))
    registry.add(classifier)
    return registry


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(
    request: pytest.FixtureRequest, fresh_homes: FreshHomes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """An empty registry of the test's own."""
    if request.param == "postgresql":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("mlflow_postgres_url"))
    return _registry(fresh_homes, tmp_path)


@pytest.fixture
def sqlite_registry(fresh_homes: FreshHomes, tmp_path: Path) -> Registry:
    """An empty registry of the test's own, on SQLite."""
    return _registry(fresh_homes, tmp_path)


def _registry(fresh_homes: FreshHomes, folder: Path) -> Registry:
    home = fresh_homes.make(folder / "study-home", with_digits=True)
    return Registry(home, connect(home.tracking_uri))
