"""A home with the digits in it, made once for all tests of a process and never written to afterwards."""

from pathlib import Path

import pytest

from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


@pytest.fixture(scope="session")
def digits_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A STUDY_HOME that holds the dataset digits."""
    home = Home(tmp_path_factory.mktemp("home"))
    add_dataset(home.datasets, "digits", None, AddOptions())
    return home


@pytest.fixture
def home(digits_home: Home, tmp_path: Path) -> Home:
    """A STUDY_HOME of the test's own; its datasets are those of `digits_home`."""
    (tmp_path / "datasets").symlink_to(digits_home.datasets)
    return Home(tmp_path)
