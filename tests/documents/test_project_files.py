"""Files that law and tools look for at the top of the project."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


AT_THE_TOP = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "cluster",
    "pyproject.toml",
    "search_spaces",
    "study",
    "tests",
    "trainables",
}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout knows what belongs to the project")
def test_at_the_top_lies_what_belongs_there_and_nothing_that_a_command_left() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tops = {line.split("/", maxsplit=1)[0] for line in listed.stdout.splitlines()}
    assert {name for name in tops if not name.startswith(".")} == AT_THE_TOP


def test_the_licence_is_the_one_that_the_project_names() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("package", PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
def test_type_checkers_read_the_types_of_each_package(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_hosted_ci_runs_what_must_pass_before_a_change_lands() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["ci"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.github-workflows",
            str(WORKFLOW),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_commit_hooks_run_commands_of_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    tools = {hook["id"]: hook["entry"].removesuffix(" --fix") for hook in hooks}
    for name in ("ruff", "ruff-format", "mypy"):
        assert tools[name] in CI, name


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
