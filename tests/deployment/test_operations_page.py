"""What the operations page names is there: commands, options, files, volumes and names of services."""

import re
import subprocess

import pytest
import typer
from commands_of_operations import HEADING, Row, commands, rows
from deployment_files import FOLDER, PAGE, ROOT, compose, manifest, secret_names

from study.cli.main import app


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
    for name in re.findall(r"statefulset/(\w+)", PAGE):
        assert manifest("StatefulSet", name)


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


@pytest.mark.parametrize("command", commands())
def test_of_each_command_the_page_says_whether_it_was_run(command: str) -> None:
    told = [words for row in rows() for words in row.commands if begins(command, words)]
    assert told, f"add a row for it to the table {HEADING!r}: {command}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.commands[0])
def test_a_test_that_the_page_names_is_there_and_runs_such_a_command(row: Row) -> None:
    for words in row.commands:
        assert any(begins(command, words) for command in commands()), f"the page has no command {words}"
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row.run_by)
    for file, name in named:
        assert (ROOT / file).exists(), file
        assert not name or re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
    assert row.run_by.startswith("not run: ") or (named and named[0][1]), row.run_by


def begins(command: str, words: str) -> bool:
    """Whether a command begins with these words; the last may be the beginning of one, as in `-c`."""
    return command == words or command.startswith((f"{words} ", f"{words}="))
