"""What a study says of where it ran: packages and machine, and changes to the code that a commit alone would
not tell.
"""

import json
import subprocess
from pathlib import Path

import pytest

from study.environment import MAX_DIFF_BYTES, environment, local_changes, masked_secrets


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    for name in ("train.py", "deep/secrets.py", "prod.env"):
        (tmp_path / name).write_text("rate = 1\n")
    person = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*person, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *arguments], check=True)
    return tmp_path


def test_the_environment_is_plain_values_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "not-to-be-told")
    told = json.dumps(environment())
    assert '"torch": "' in told
    assert "not-to-be-told" not in told


def test_changes_of_tracked_files_are_told_from_any_folder_and_keys_are_not(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local_changes() is None
    for name in ("train.py", "deep/secrets.py", "prod.env", "untracked.py"):
        (repository / name).write_text("rate = 2\n")
    monkeypatch.chdir(repository / "deep")
    changes = local_changes()
    assert changes is not None
    assert [line for line in changes.splitlines() if line.startswith("+++")] == ["+++ b/train.py"]
    assert changes.endswith("+rate = 2\n")


def test_a_huge_diff_is_cut(repository: Path) -> None:
    (repository / "train.py").write_text("x = 1\n" * MAX_DIFF_BYTES)
    changes = local_changes()
    assert changes is not None
    assert len(changes) < MAX_DIFF_BYTES + 100
    assert "cut here: the diff has" in changes.splitlines()[-1]


def test_outside_a_repository_there_is_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert local_changes() is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('+DB_PASSWORD = "hunter2"', "+DB_PASSWORD = ***"),
        ("+api_key: abc123", "+api_key: ***"),
        ('+    "secret_access_key": "abc",', '+    "secret_access_key": ***'),
        ("+url = postgresql://ada:hunter2@db/study", "+url = postgresql://ada:***@db/study"),
        ("+learning_rate = 3e-4", "+learning_rate = 3e-4"),
    ],
)
def test_what_is_assigned_to_the_name_of_a_secret_is_masked(line: str, shown: str) -> None:
    assert masked_secrets(line) == shown
