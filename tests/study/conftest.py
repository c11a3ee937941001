"""Homes for the tests of `study`."""

import shutil
from pathlib import Path

import pytest
from fresh_homes import FreshHomes

from study.home import Home


@pytest.fixture
def home(digits_home: Home, tmp_path: Path) -> Home:
    """A STUDY_HOME of the test's own, which holds the dataset digits and nothing else: MLflow has written
    nothing yet.
    """
    shutil.copytree(digits_home.datasets, tmp_path / "datasets")
    return Home(tmp_path)


@pytest.fixture
def mlflow_home(home: Home, fresh_homes: FreshHomes) -> Home:
    """The same, where MLflow has its tables."""
    return fresh_homes.make(home.folder)
