"""The command line as a whole: its version and shell completion."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

STUDY = str(Path(sys.executable).with_name("study"))


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STUDY, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"study {version('study')}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_a_script_that_completes(shell: str) -> None:
    done = run(
        "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )  # else it takes the shell it runs in
    assert done.returncode == 0, done.stderr
    assert "_STUDY_COMPLETE" in done.stdout


def test_commands_are_completed() -> None:
    done = run(_STUDY_COMPLETE="complete_bash", COMP_WORDS="study rep", COMP_CWORD="1")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"replay", "report", "reproduce", "reproduce-model"}
