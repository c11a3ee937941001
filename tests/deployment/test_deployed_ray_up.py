"""`ray up` understands its files, its commands are shell, and nothing on its nodes is open to the world."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deployment_files import FOLDER, RAY_UP, ROOT, command, env_file, ray_up
from deployment_servers import PROGRAMS
from ray.autoscaler._private.util import prepare_config, validate_config
from s3_server import S3

BOOTSTRAPS = """
import json, sys, yaml
from ray.autoscaler._private.commands import _bootstrap_config
# Checks it against Ray's schema, too.
resolved = _bootstrap_config(yaml.safe_load(sys.stdin), no_config_cache=True)
print(json.dumps(resolved["available_node_types"]))
"""


def commands(file: str) -> list[str]:
    return [line for key, value in ray_up(file).items() if key.endswith("commands") for line in value]


def head_and_workers(file: str) -> tuple[str, str]:
    return (ray_up(file)["head_start_ray_commands"][-1], ray_up(file)["worker_start_ray_commands"][-1])


def node(home: Path, settings: str, secrets: dict[str, str] | None) -> Path:
    """The folder of deployment files in a node's home, with the secrets or without."""
    folder = home / "study" / "cluster" / "deployment"
    folder.mkdir(parents=True)
    (folder / settings).write_text((FOLDER / settings).read_text())
    if secrets is not None:
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    return folder


def test_ray_up_takes_the_file_for_own_machines() -> None:
    prepared = prepare_config(ray_up("onprem.yaml"))
    validate_config(prepared)
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(prepared["provider"]["worker_ips"])
    assert not prepared["docker"]


@pytest.mark.slow
def test_ray_up_takes_the_file_for_aws_and_finds_its_machines(
    s3_endpoint: S3, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """With what a person fills in, and a server that answers as EC2 does."""
    import boto3

    settings = {**s3_endpoint.environment, "AWS_ENDPOINT_URL": s3_endpoint.endpoint, "HOME": str(tmp_path)}
    login = {
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "endpoint_url": s3_endpoint.endpoint,
    }
    ec2 = boto3.client("ec2", ray_up("aws.yaml")["provider"]["region"], **login)
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.create_security_group(GroupName="own", Description="own", VpcId=subnet["VpcId"])["GroupId"]
    text = (
        (FOLDER / "aws.yaml")
        .read_text()
        .replace("YOUR-SUBNET", subnet["SubnetId"])
        .replace("YOUR-SECURITY-GROUP", group)
    )
    words = [sys.executable, "-c", BOOTSTRAPS]
    done = subprocess.run(
        words, input=text, env={**clean_environment, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kinds: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert kinds["head"]["resources"] == {"CPU": 0}, "trials must not run beside the drivers"
    assert "InstanceMarketOptions" not in kinds["head"]["node_config"], "the head must not be taken away"
    spot = kinds["gpu-spot"]
    assert spot["resources"]["GPU"] >= 1
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert spot["min_workers"] == 0 < spot["max_workers"]
    assert spot["resources"]["accelerator_type:L4"] == 1, "resources: {gpu_kind: L4} finds it"
    opened = [
        rule for one in ec2.describe_security_groups()["SecurityGroups"] for rule in one["IpPermissions"]
    ]
    assert opened == [], "Ray makes no group of its own, which would let the world to SSH"


@pytest.mark.parametrize("file", RAY_UP)
def test_commands_are_shell(file: str) -> None:
    for line in commands(file):
        done = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("file", RAY_UP)
def test_what_travels_to_the_nodes_is_there_and_enough(file: str) -> None:
    mounts = ray_up(file)["file_mounts"]
    for remote, local in mounts.items():
        assert remote == f"~/study/{local}"
        assert (ROOT / local).exists()
    assert {"pyproject.toml", "README.md", "cluster", "search_spaces", "study", "trainables"} == set(
        mounts.values()
    )


@pytest.mark.parametrize("file", RAY_UP)
def test_every_node_takes_the_token_and_nothing_that_is_not_its_own(
    file: str, tmp_path: Path, secrets: dict[str, str]
) -> None:
    """The commands up to `ray start`, run by bash on files as a node has them."""
    node(tmp_path, file.replace(".yaml", ".env"), secrets)
    for line in head_and_workers(file):
        prints = re.sub(r"ulimit.*", "env", line)
        bare = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_HEAD_IP": "10.0.0.1"}
        done = subprocess.run(["bash", "-c", prints], env=bare, capture_output=True, text=True, check=True)
        found = dict(one.split("=", 1) for one in done.stdout.splitlines())
        assert found["RAY_AUTH_MODE"] == "token"
        assert found["STUDY_HOME"] == "/study"
        assert {name for name in secrets if name in found} == {"RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD"}
        assert re.fullmatch(r"http://[\w.-]+:5000", found["MLFLOW_TRACKING_URI"])
        assert "127.0.0.1" not in found["MLFLOW_TRACKING_URI"], "workers are told this address, too"


def test_the_head_on_aws_starts_mlflow_with_what_the_server_needs(
    tmp_path: Path, secrets: dict[str, str]
) -> None:
    """The command, run by bash, with programs of those names that write down how they were started."""
    folder = node(tmp_path, "aws.env", secrets)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "curl": "exit 7",
        "mlflow": f'echo "$@" > {tmp_path}/words; env > {tmp_path}/env; touch {tmp_path}/done',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    bare = {"HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(
        ["bash", "-c", ray_up("aws.yaml")["head_start_ray_commands"][1]], env=bare, check=True, timeout=60
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "done").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = dict(one.split("=", 1) for one in (tmp_path / "env").read_text().splitlines())
    assert found["PGPASSWORD"] == secrets["POSTGRES_PASSWORD"]
    assert found["MLFLOW_AUTH_CONFIG_PATH"] == str(folder / "mlflow_auth.ini")
    assert {
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "PGHOST",
        "PGSSLMODE",
    } <= found.keys()
    assert "--artifacts-destination s3://YOUR-BUCKET/artifacts" in (tmp_path / "words").read_text()


@pytest.mark.parametrize("file", RAY_UP)
def test_no_node_starts_ray_without_the_secrets(file: str, tmp_path: Path) -> None:
    node(tmp_path, file.replace(".yaml", ".env"), None)
    for line in head_and_workers(file):
        prints = re.sub(r"ulimit.*", "echo started", line)
        bare = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_HEAD_IP": "10.0.0.1"}
        done = subprocess.run(["bash", "-c", prints], env=bare, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "started" not in done.stdout


@pytest.mark.parametrize("file", RAY_UP)
def test_the_dashboard_is_reached_by_ssh_alone(file: str) -> None:
    assert "--dashboard-host=127.0.0.1" in command(file, "ray", "start", "--head")


def test_aws_machines_have_a_group_of_their_own() -> None:
    """Where a kind of machine names none, Ray makes one that lets the whole world to SSH."""
    for name, kind in ray_up("aws.yaml")["available_node_types"].items():
        assert kind["node_config"]["SecurityGroupIds"], name
        assert kind["node_config"]["MetadataOptions"] == {"HttpTokens": "required"}, name


def test_every_option_of_ray_start_exists() -> None:
    told = subprocess.run(
        [str(PROGRAMS / "ray"), "start", "--help"], capture_output=True, text=True, check=True
    ).stdout
    starts = [
        command(file, "ray", "start", kind)
        for file in RAY_UP
        for kind in ("--head", "--address=$RAY_HEAD_IP:6379")
    ]
    for words in starts:
        for word in words[2:]:
            assert word.split("=")[0] in told, word


def test_servers_settings_are_those_that_the_server_reads() -> None:
    for name in ("PGHOST", "PGUSER", "PGSSLMODE", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_TRACKING_USERNAME"):
        assert name in env_file("aws.env")
    assert env_file("onprem.env")["MLFLOW_TRACKING_URI"].endswith(":5000")
