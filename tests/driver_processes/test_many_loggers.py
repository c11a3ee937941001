"""Processes that log trials at once: every metric of every epoch arrives, none twice."""

import subprocess
import sys
from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from study_process import PATIENCE_SECONDS

SCRIPT = Path(__file__).with_name("many_loggers.py")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [4, 16])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_processes_log_at_once(
    database: str, processes: int, fresh_homes: FreshHomes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    is_file = database == "sqlite"
    uri = (
        fresh_homes.make(tmp_path).tracking_uri if is_file else request.getfixturevalue("mlflow_postgres_url")
    )
    command = [sys.executable, str(SCRIPT), "--uri", uri, "--processes", str(processes), "--epochs", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert "rejected" not in done.stderr
