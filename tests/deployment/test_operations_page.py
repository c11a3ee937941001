"""What the operations page names is there: commands, options, files, volumes and names of services."""

import re
import subprocess

import pytest
import typer
from deployment_files import FOLDER, ROOT, compose, manifest, secret_names

from study.cli.main import app

PAGE = (ROOT / "cluster" / "OPERATIONS.md").read_text()


def test_every_study_command_exists() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    written = re.findall(r"^study .*$|`study [^`]*`| ray study .*$", PAGE, re.MULTILINE)
    named = {re.split(r"[ `]", line[line.index("study ") :])[1] for line in written}
    assert {"submit", "status", "logs", "stop", "resume", "list", "data"} <= named <= known
    assert {"show", "extend", "pin", "enqueue", "kill-trial"} <= known


def test_every_file_exists() -> None:
    named = set(re.findall(r"`((?:[\w/.-]+/)?[\w.-]+\.(?:yaml|env))`|cluster/deployment/([\w./-]+)", PAGE))
    files = {one or other for one, other in named} - {".env"}
    assert len(files) > 6
    for file in files:
        assert (FOLDER / file.rstrip(".")).exists(), file


def test_every_service_and_volume_exists() -> None:
    parts = compose()
    for names in re.findall(
        "docker compose (?:up -d|stop|exec(?: -T)?|run --rm --no-deps) ([a-z ]+?)(?: (?:pg_|study "
        "|mlflow db)|$)",
        PAGE,
        re.M,
    ):
        assert set(names.split()) <= set(parts["services"]), names
    for volume in re.findall(r"--volume study_(\w+):", PAGE):
        assert volume in parts["volumes"], volume
    assert f"service/{manifest('RayCluster')['metadata']['name']}-head-svc" in PAGE
    for kind, name in re.findall(r"(statefulset|deployment)/(\w+)", PAGE):
        if name not in ("Dockerfile", "aws", "onprem"):
            assert manifest({"statefulset": "StatefulSet", "deployment": "Deployment"}[kind], name)


def test_every_secret_can_be_rotated() -> None:
    table = PAGE[PAGE.index("## Rotating secrets") : PAGE.index("## What holds state")]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(secret_names())


def test_its_lines_for_a_terminal_are_shell() -> None:
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}: {done.stderr}"


@pytest.mark.parametrize("line", re.findall(r"^.*openssl.*$", PAGE, re.MULTILINE))
def test_secrets_are_made_as_the_example_says(line: str) -> None:
    assert line in (FOLDER / ".env.example").read_text()
