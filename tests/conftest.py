"""What all tests share: nothing of this machine reaches them, and a slow one does not fail them."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import NoPostgresError, PostgresServer, running_postgres
from s3_server import S3, running_s3

# Two busy cores make single examples slow without anything being wrong.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's addresses and homes are not used by tests."""
    for name in [name for name in os.environ if name in ("STUDY_HOME", "RAY_ADDRESS") or name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started once for all tests of a process."""
    try:
        server = running_postgres()
        with server as running:
            yield running
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The address, with a password, of an empty PostgreSQL database of the test's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[S3]:
    """A real S3 endpoint, started once for all tests of a process."""
    with running_s3() as running:
        yield running


@pytest.fixture
def s3(s3_endpoint: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A real S3 endpoint with a bucket; the environment says how it is reached."""
    for name, value in s3_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    return s3_endpoint
