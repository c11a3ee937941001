"""Registries with tiny classifiers of the digits, on real MLflow."""

import sys
from pathlib import Path

import pytest
from command_line import Done, Study
from registering_tiny import Registry, trained

from study.cli.main import main
from study.connections.mlflow_client import connect
from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.inference.classifier import Classifier


@pytest.fixture(scope="session")
def digits_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A STUDY_HOME that holds the digits, and is not written to."""
    home = Home(tmp_path_factory.mktemp("home"))
    add_dataset(home.datasets, "digits", None, AddOptions())
    return home


@pytest.fixture(scope="session")
def classifier(digits_home: Home) -> Classifier:
    """One that is right for most digits."""
    return trained(digits_home, epochs=4)


@pytest.fixture(scope="session")
def registered(digits_home: Home, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with one version, on SQLite, that is not written to."""
    registry = _registry(digits_home, tmp_path_factory.mktemp("registered"))
    registry.add(classifier)
    return registry


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, digits_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry of the test's own."""
    if request.param == "postgresql":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("postgres_url"))
    return _registry(digits_home, tmp_path)


@pytest.fixture
def sqlite_registry(digits_home: Home, tmp_path: Path) -> Registry:
    """An empty registry of the test's own, on SQLite."""
    return _registry(digits_home, tmp_path)


@pytest.fixture
def study(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Study:
    """The command line, in this process: an exception that would be a traceback fails the test."""

    def run(home: Home, *arguments: str | Path) -> Done:
        monkeypatch.setenv("STUDY_HOME", str(home.folder))
        monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


def _registry(digits_home: Home, folder: Path) -> Registry:
    home = Home(folder / "study-home")
    home.datasets.mkdir(parents=True)
    for file in (digits_home.datasets / "digits").iterdir():
        (home.datasets / "digits").mkdir(exist_ok=True)
        (home.datasets / "digits" / file.name).write_bytes(file.read_bytes())
    return Registry(home, connect(home.tracking_uri))
