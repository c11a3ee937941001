"""What all tests share: nothing of this machine reaches them, real servers are started once, and a slow
machine fails none.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Done, Study
from distribution import ByWhatTheyShare, longest_first, num_processes
from fresh_homes import FreshHomes
from hypothesis import HealthCheck, settings
from postgres_server import NoPostgresError, PostgresServer, running_postgres
from s3_server import S3, running_s3
from xdist.remote import Producer

from study.cli.main import main
from study.connections.mlflow_client import connect
from study.home import Home

# Under `uv run` Ray starts each worker through uv, on a copy of this folder. It reads the switch when it is
# imported, which test files do before the product can set it.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Where a machine forbids processes to keep what they compiled, each of the hundred processes that tests start
# compiles torch, Ray and MLflow anew, for some ten seconds of a core.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two busy cores make single examples slow without anything being wrong.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

SLOW_SECONDS = 3600
"""How long a slow test may take; pyproject.toml says it for the others."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`, which pyproject.toml says."""
    return num_processes(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatTheyShare:
    """In place of the schedulers of xdist."""
    return ByWhatTheyShare(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests get more time before they are ended."""
    longest_first(items)
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, run_folder: Path) -> None:
    """A person's addresses, homes and copies are not used by tests."""
    monkeypatch.setenv("STUDY_CACHE", str(run_folder / "cache"))
    for name in [
        name for name in os.environ if name in ("STUDY_HOME", "RAY_ADDRESS") or name.startswith("MLFLOW_")
    ]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def fresh_homes(run_folder: Path) -> FreshHomes:
    """Makes homes whose MLflow is ready."""
    return FreshHomes(run_folder)


@pytest.fixture(scope="session")
def digits_home(fresh_homes: FreshHomes) -> Home:
    """A STUDY_HOME that holds the dataset digits, and nothing else; it is not written to."""
    return fresh_homes.digits


@pytest.fixture
def home_with_digits(fresh_homes: FreshHomes, tmp_path: Path) -> Home:
    """A home of the test's own that holds the digits."""
    return fresh_homes.make(tmp_path / "home", with_digits=True)


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
def postgres_tables(postgres: PostgresServer) -> str:
    """The name of a database with MLflow's tables and nothing in them, to copy from: making them takes MLflow
    many seconds.
    """
    name = "mlflow_tables"
    postgres.execute(f"CREATE DATABASE {name}")
    connect(postgres.url(name)).search_experiments()
    return name


@pytest.fixture
def mlflow_postgres_url(postgres: PostgresServer, postgres_tables: str) -> str:
    """The same, with MLflow's tables in it."""
    return postgres.new_database(copy_of=postgres_tables)


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
