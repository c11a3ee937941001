"""Real servers, started with the command lines of the deployment files."""

import os
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from deployment_files import FOLDER, ROOT, compose, filled, secret_names, with_option
from deployment_servers import PROGRAMS, MlflowServer, end, wait_for
from ports import free_port
from postgres_server import PostgresServer
from s3_server import S3


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """Values for all secrets."""
    return {name: os.urandom(16).hex() for name in secret_names()}


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """The environment of this machine without what tests or people set for MLflow, Ray, PostgreSQL or S3."""
    prefixes = ("MLFLOW_", "RAY_", "PG", "AWS_", "STUDY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def mlflow_server(
    postgres: PostgresServer,
    s3_endpoint: S3,
    secrets: dict[str, str],
    clean_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MlflowServer]:
    """The MLflow server of compose.yaml on real PostgreSQL and S3 servers, prepared by its command for
    that.
    """
    services = compose()["services"]
    database = urlsplit(postgres.url("mlflow"))
    postgres.execute("CREATE DATABASE mlflow")
    place = {
        "PGHOST": str(database.hostname),
        "PGPORT": str(database.port),
        "PGUSER": str(database.username),
        "PGPASSWORD": str(database.password),
        "MLFLOW_S3_ENDPOINT_URL": s3_endpoint.endpoint,
        "MLFLOW_AUTH_CONFIG_PATH": str(FOLDER / "mlflow_auth.ini"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # as the image has it
        "MLFLOW_WORKERS": "1",
    }
    settings = {name: filled(value, secrets) for name, value in services["mlflow"]["environment"].items()}
    port = free_port()
    arguments = [filled(word, {}) for word in services["mlflow"]["command"]]
    arguments = with_option(with_option(arguments, "--host", "127.0.0.1"), "--port", str(port))
    arguments = [word.replace("127.0.0.1:5000", f"127.0.0.1:{port}") for word in arguments]
    folder = tmp_path_factory.mktemp("mlflow")
    log = (folder / "log").open("w")
    environment = {**clean_environment, **settings, **place}
    process = subprocess.Popen(arguments, env=environment, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health", process, folder / "log")
        asking = {name: filled(value, secrets) for name, value in services["prepare"]["environment"].items()}
        asking |= {"MLFLOW_TRACKING_URI": address, "MLFLOW_S3_ENDPOINT_URL": s3_endpoint.endpoint}
        prepared = subprocess.run(
            services["prepare"]["command"],
            env={**clean_environment, **asking},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert prepared.returncode == 0, prepared.stderr
        yield MlflowServer(
            address=address,
            settings=asking,
            database={name: place[name] for name in place if name.startswith("PG")},
            command=tuple(arguments),
            environment=environment,
        )
    finally:
        end(process)
