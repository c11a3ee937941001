"""Sixteen processes that log trials at once: every metric of every epoch arrives, none twice."""

import subprocess
import sys
from pathlib import Path

import pytest
from fresh_homes import FreshHomes

SCRIPT = Path(__file__).with_name("many_loggers.py")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_sixteen_processes_log_at_once(database: str, fresh_homes: FreshHomes, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    is_file = database == "sqlite"
    uri = fresh_homes.make(tmp_path).tracking_uri if is_file else request.getfixturevalue("mlflow_postgres_url")
    command = [sys.executable, str(SCRIPT), "--uri", uri, "--processes", "16", "--epochs", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "rejected" not in done.stderr
