"""The Dockerfile builds from what is here, as nobody special, with what the deployment files expect in it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deployment_files import FOLDER, ROOT, compose, env_file, manifest

DOCKERFILE = (FOLDER / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTRUCTIONS = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint, which has no wheel for this platform")
    done = subprocess.run([hadolint, str(FOLDER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_it_copies_is_there_and_is_let_through() -> None:
    copied = [
        word
        for line in INSTRUCTIONS
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    allowed = [
        line.removeprefix("!")
        for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert len(copied) > 4
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] in allowed, path
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)


def test_secrets_stay_outside() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored.index("**/.env") > ignored.index("!cluster"), "the last line that fits decides"
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_it_installs_what_the_project_names() -> None:
    synced = [line for line in INSTRUCTIONS if "uv sync" in line]
    assert len(synced) == 2
    for line in synced:
        assert (
            set(re.findall(r"--extra (\S+)", line))
            == {"postgresql", "s3", "serve"}
            <= set(PROJECT["project"]["optional-dependencies"])
        )
        assert re.findall(r"--group (\S+)", line) == ["server"]
    assert "server" in PROJECT["dependency-groups"]
    python = re.search(r"^FROM python:(\d+)\.(\d+)\.", DOCKERFILE, re.MULTILINE)
    assert python is not None
    assert (int(python[1]), int(python[2])) == sys.version_info[:2], (
        "the image runs the Python that is tested"
    )


def test_it_runs_as_nobody_special_with_a_home_that_is_theirs() -> None:
    assert [line for line in INSTRUCTIONS if line.startswith("USER")] == ["USER 1000:1000"]
    pod = manifest("RayCluster")["spec"]["headGroupSpec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == 1000
    assert "useradd --uid 1000" in DOCKERFILE
    assert "install --directory --owner study --group study /study" in DOCKERFILE


def test_it_is_called_by_the_projects_version() -> None:
    image = f"study:{PROJECT['project']['version']}"
    assert f"docker build -f cluster/deployment/Dockerfile -t {image} ." in DOCKERFILE
    assert compose()["services"]["ray"]["image"] == image


def test_it_sets_what_the_server_and_nodes_rely_on() -> None:
    text = "".join(INSTRUCTIONS)
    for name in ("STUDY_HOME", "TORCH_HOME", "RAY_AUTH_MODE", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):
        assert f"{name}={env_file('aws.env')[name]}" in text
    assert "COPY cluster/deployment/mlflow_auth.ini /etc/study/mlflow_auth.ini" in text
    assert "MLFLOW_AUTH_CONFIG_PATH=/etc/study/mlflow_auth.ini" in text
