"""The MLflow server of the deployment files asks everybody who they are; the cluster's own account can
log.
"""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any

import pytest
from deployment_files import ROOT, command, compose, filled, manifest
from deployment_servers import MlflowServer
from s3_server import S3

from cluster.deployment.prepare import make_account, make_bucket, prepare
from cluster.errors import ClusterError

LOGS_A_RUN = """
import mlflow
mlflow.set_experiment("fer2013")
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.5)
    mlflow.log_text("a picture", "picture.txt")
client = mlflow.MlflowClient()
assert client.get_run(run.info.run_id).data.metrics == {"accuracy": 0.5}
assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["picture.txt"]
client.create_registered_model("fer2013")
client.create_model_version("fer2013", run.info.artifact_uri, run.info.run_id)
client.set_registered_model_alias("fer2013", "champion", "1")
"""


def status(
    address: str, path: str, user: str | None = None, password: str | None = None, host: str | None = None
) -> int:
    request = urllib.request.Request(address + path)
    if user is not None:
        request.add_header("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
    if host is not None:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


EXPERIMENTS = "/api/2.0/mlflow/experiments/get?experiment_id=0"


@pytest.mark.slow
def test_nobody_gets_in_without_a_password(mlflow_server: MlflowServer) -> None:
    assert status(mlflow_server.address, "/health") == 200
    assert status(mlflow_server.address, EXPERIMENTS) == 401
    assert status(mlflow_server.address, "/") == 401
    assert status(mlflow_server.address, EXPERIMENTS, "admin", "password1234") == 401
    assert status(mlflow_server.address, EXPERIMENTS, "admin", mlflow_server.admin_password) == 200
    assert (
        status(
            mlflow_server.address, EXPERIMENTS, "study", mlflow_server.settings["MLFLOW_TRACKING_PASSWORD"]
        )
        == 200
    )


@pytest.mark.slow
def test_only_names_that_the_files_give_it_are_answered(mlflow_server: MlflowServer) -> None:
    login = ("admin", mlflow_server.admin_password)
    assert status(mlflow_server.address, EXPERIMENTS, *login, host="mlflow:5000") == 200
    assert status(mlflow_server.address, EXPERIMENTS, *login, host="attacker.example") == 403


@pytest.mark.slow
def test_a_node_logs_runs_files_and_models(
    mlflow_server: MlflowServer, s3_endpoint: S3, clean_environment: dict[str, str]
) -> None:
    node = {
        name: mlflow_server.settings[name]
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    }
    done = subprocess.run(
        [sys.executable, "-c", LOGS_A_RUN],
        env={**clean_environment, **node},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    objects = s3_endpoint.object_names()
    assert any(name.startswith("artifacts/") and name.endswith("picture.txt") for name in objects), objects


@pytest.mark.slow
def test_preparing_again_gives_the_account_the_new_password(
    mlflow_server: MlflowServer, s3_endpoint: S3
) -> None:
    make_account(mlflow_server.address, mlflow_server.admin_password, "another", "a first password")
    assert status(mlflow_server.address, EXPERIMENTS, "another", "a first password") == 200
    settings = {
        **mlflow_server.settings,
        "MLFLOW_TRACKING_USERNAME": "another",
        "MLFLOW_TRACKING_PASSWORD": "a second password",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_endpoint.environment.items():
            patch.setenv(name, value)
        prepare(settings)
    assert status(mlflow_server.address, EXPERIMENTS, "another", "a second password") == 200


def test_a_bucket_is_made_once(s3: S3) -> None:
    import boto3

    make_bucket("fresh", s3.endpoint)
    make_bucket("fresh", s3.endpoint)
    assert "fresh" in [
        one["Name"] for one in boto3.client("s3", endpoint_url=s3.endpoint).list_buckets()["Buckets"]
    ]


def test_on_aws_a_bucket_must_be_there(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    with pytest.raises(ClusterError, match="no bucket 'absent'; make it: aws s3 mb s3://absent"):
        make_bucket("absent", None)


@pytest.mark.slow
def test_a_wrong_administrator_is_one_message(mlflow_server: MlflowServer) -> None:
    with pytest.raises(ClusterError, match="refuses MLFLOW_AUTH_ADMIN_PASSWORD"):
        make_account(mlflow_server.address, "not the password", "study", "a long password")


def test_a_missing_secret_is_one_message(clean_environment: dict[str, str]) -> None:
    words = compose()["services"]["prepare"]["command"]
    settings = {
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://studies/artifacts",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        words, env={**clean_environment, **settings}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: MLFLOW_AUTH_ADMIN_PASSWORD is not set; secrets come from .env")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("/some/folder", "must be s3://BUCKET/FOLDER, got '/some/folder'"),
        ("s3://", "must be s3://BUCKET/FOLDER"),
    ],
)
def test_artifacts_go_to_a_bucket(destination: str, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        prepare({"MLFLOW_ARTIFACTS_DESTINATION": destination})


def test_kubernetes_and_aws_run_the_same_server() -> None:
    words = [filled(word, {"STUDY_BIND": "127.0.0.1"}) for word in compose()["services"]["mlflow"]["command"]]
    in_pod = manifest("StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"][0]["command"]
    hosts = words.pop()
    assert in_pod[:-1] == words
    assert set(in_pod[-1].split("=")[1].split(",")) == set(hosts.split("=")[1].split(","))
    on_head = " ".join(command("aws.yaml", "mlflow", "server"))
    for word in words[2:6]:
        assert word.replace("=", " ") in on_head
    assert json.dumps(on_head).count("--artifacts-destination") == 1


def as_admin(
    server: MlflowServer,
    method: str,
    path: str,
    body: dict[str, str],
    password: str | None = None,
) -> dict[str, Any]:
    """The answer to one of the calls of the operations page."""
    request = urllib.request.Request(f"{server.address}/api/{path}", json.dumps(body).encode(), method=method)
    login = b64encode(f"admin:{password or server.admin_password}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.loads(answer.read() or "{}"))


@pytest.mark.slow
def test_the_operations_pages_calls_add_let_in_and_remove_a_person(mlflow_server: MlflowServer) -> None:
    page = (ROOT / "cluster" / "OPERATIONS.md").read_text()
    calls = re.findall(r"^mlflow_admin (\w+) (\S+)(?: \\\n)? +'(\{.*\})'$", page, re.MULTILINE)
    assert [(method, path.rsplit("/", 1)[1]) for method, path, _ in calls] == [
        ("POST", "create"),
        ("POST", "grant"),
        ("POST", "grant"),
        ("DELETE", "delete"),
    ]
    login = (json.loads(calls[0][2])["username"], json.loads(calls[0][2])["password"])
    as_admin(
        mlflow_server,
        "POST",
        "2.0/mlflow/registered-models/create",
        {"name": json.loads(calls[1][2])["resource_id"] + "-other"},
    )
    number = as_admin(
        mlflow_server, "POST", "2.0/mlflow/experiments/create", {"name": "of-the-operations-page"}
    )["experiment_id"]
    (asking,) = re.findall(r"^mlflow_admin GET '(\S+)'", page, re.MULTILINE)
    asked = asking.replace("fer2013", "of-the-operations-page")
    assert as_admin(mlflow_server, "GET", asked, {})["experiment"]["experiment_id"] == number
    *before, (method, path, body) = calls
    for one in before:
        as_admin(mlflow_server, one[0], one[1], json.loads(one[2]))
    assert status(mlflow_server.address, EXPERIMENTS, *login) == 200
    as_admin(mlflow_server, method, path, json.loads(body))
    assert status(mlflow_server.address, EXPERIMENTS, *login) == 401


@pytest.mark.slow
def test_the_operations_pages_call_changes_the_administrators_password(mlflow_server: MlflowServer) -> None:
    page = (ROOT / "cluster" / "OPERATIONS.md").read_text()
    ((method, path, body),) = re.findall(r"`mlflow_admin (PATCH) (\S+) '(\{.*?\})'`", page)
    old, new = mlflow_server.admin_password, "another long password"
    asked = {**json.loads(body), "current_password": old, "password": new}
    as_admin(mlflow_server, method, path, asked)
    try:
        assert status(mlflow_server.address, EXPERIMENTS, "admin", new) == 200
    finally:
        as_admin(mlflow_server, method, path, {**asked, "current_password": new, "password": old}, new)


@pytest.mark.slow
def test_the_database_is_brought_up_to_date_by_the_operations_pages_command(
    mlflow_server: MlflowServer, clean_environment: dict[str, str]
) -> None:
    page = (ROOT / "cluster" / "OPERATIONS.md").read_text()
    (words,) = re.findall(r"run --rm --no-deps mlflow (mlflow db upgrade \S+)", page)
    done = subprocess.run(
        words.split(),
        env={**clean_environment, **mlflow_server.database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
