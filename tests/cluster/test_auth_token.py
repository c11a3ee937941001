"""The token: found as Ray finds it, and kept for its owner."""

import stat
from pathlib import Path

import pytest

from cluster.auth_token import authorization_header, has_token, protect_token_file, token_source


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path where a token is looked for; nothing is there yet."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "auth_token"))
    return tmp_path / "auth_token"


def test_without_a_token_a_request_carries_none(token_file: Path) -> None:
    assert not has_token()
    assert authorization_header() == {}
    assert token_source() == str(token_file)
    protect_token_file()
    assert not token_file.exists()


def test_a_token_in_a_file_is_read_without_its_line_end(token_file: Path) -> None:
    token_file.write_text("abc\n")
    assert has_token()
    assert authorization_header() == {"Authorization": "Bearer abc"}


def test_a_token_in_the_environment_comes_before_the_file(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file.write_text("abc")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "def")
    assert authorization_header() == {"Authorization": "Bearer def"}
    assert token_source() == "RAY_AUTH_TOKEN"


def test_only_its_owner_reads_a_token_file(token_file: Path) -> None:
    token_file.write_text("abc")
    token_file.chmod(0o644)
    protect_token_file()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
