"""What all tests share: nothing of this machine reaches them, and a slow one does not fail them."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores make single examples slow without anything being wrong.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's addresses and homes are not used by tests."""
    for name in [name for name in os.environ if name in ("STUDY_HOME", "RAY_ADDRESS") or name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
