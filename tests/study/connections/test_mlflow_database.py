"""MLflow's database appears whole or not at all, whoever dies or begins meanwhile."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from command_line import Study
from quoting import keep_speed

from study.connections.mlflow_client import connect
from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec

PATIENCE_SECONDS = 300
CONNECT = """
import sys
from study.connections.mlflow_client import connect
import mlflow.store.tracking.sqlalchemy_store
print("imported", flush=True)
print(len(connect(sys.argv[1]).search_experiments()))
"""


def begin(uri: str) -> subprocess.Popen[str]:
    """A process that is about to make the database."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECT, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "imported\n"
    return process


@pytest.mark.slow
def test_two_at_once_and_one_that_is_killed_leave_one_whole_database(tmp_path: Path) -> None:
    file = tmp_path / "home" / "mlflow.db"
    killed = begin(f"sqlite:///{file}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(one.stat().st_size for one in file.parent.glob(".mlflow.db.*") if one.suffix != ".lock"):
        assert time.monotonic() < deadline
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.kill()
    killed.communicate(timeout=PATIENCE_SECONDS)
    assert not file.exists()
    both = [begin(f"sqlite:///{file}") for _ in range(2)]
    for process in both:
        said, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, said) == (0, "1\n"), errors
    (default,) = connect(f"sqlite:///{file}").search_experiments()
    assert default.artifact_location.startswith(file.parent.as_uri()), "not where the command was typed"


def test_a_half_made_database_is_made_anew_and_kept_beside(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:  # what a death within MLflow's migrations leaves
        database.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, creation_time BIGINT)")
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        database.execute("INSERT INTO alembic_version VALUES ('75868b020152')")
        database.commit()
    assert len(connect(f"sqlite:///{file}").search_experiments()) == 1
    (kept,) = tmp_path.glob("mlflow.db.half-made-*")
    assert kept.stat().st_size > 0


def test_checking_a_study_makes_no_database(study: Study, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("study: s\ndataset: digits\nsearch_space: digits\nstart_from: [{best: 2}]\n")
    keep_speed(plan_study(StudySpec.read(file), home))
    done = study(home, "check", file)
    assert done.returncode == 0, done.stderr
    assert [one.name for one in home.folder.iterdir() if "mlflow" in one.name] == []
