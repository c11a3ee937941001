"""Sixteen processes that log trials at once: every metric of every epoch arrives, none twice."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("many_loggers.py")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_sixteen_processes_log_at_once(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = f"sqlite:///{tmp_path}/many.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    command = [sys.executable, str(SCRIPT), "--uri", uri, "--processes", "16", "--epochs", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert "rejected" not in done.stderr
