"""Jobs that a fork server runs: to whoever started them they are processes of their own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

PATIENCE_SECONDS = 120.0
ROOT = Path(__file__).parents[2]
JOB = """
import os, sys, time
import mine
print(mine.VERSION, sys.argv[1:], os.getcwd(), os.environ["TOLD"], os.getppid(), "decimal" in sys.modules)
print("to stderr", file=sys.stderr)
if "wait" in sys.argv:
    try:
        print("waits", os.getpid(), flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(7)
sys.exit(3 if "fail" in sys.argv else 0)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the servers of a test; the path of a socket may have a hundred letters."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    for server in servers(folder):
        server.kill()
    shutil.rmtree(folder)


def servers(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "ppid"])
        if str(folder) in " ".join(process.info["cmdline"] or []) and "-P" in process.info["cmdline"]
    ]


def begin(folder: Path, *words: str, version: int = 1, imported: str = "decimal") -> subprocess.Popen[str]:
    """A job whose code lies in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "job.py").write_text(JOB)
    (folder / "mine.py").write_text(f"VERSION = {version}\n")
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.forked_job", "--import", imported, "job", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TOLD": f"of {folder.name}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out.splitlines(), err


def waiting(process: subprocess.Popen[str]) -> psutil.Process:
    """The process of a job that waits."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("waits"):
            return psutil.Process(int(line.split()[1]))
    raise AssertionError("it never waited")


def wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_job_has_its_own_code_words_folder_environment_and_streams(
    temporary: Path, tmp_path: Path
) -> None:
    code, out, err = ended(begin(tmp_path / "one", "a b", "fail"))
    (server,) = servers(temporary)
    assert (code, err) == (3, "to stderr\n")
    assert out == [f"1 ['a b', 'fail'] {tmp_path / 'one'} of one {server.pid} True"]
    shutil.rmtree(tmp_path / "one")
    code, out, _ = ended(begin(tmp_path / "two", version=2))
    assert (code, out) == (0, [f"2 [] {tmp_path / 'two'} of two {server.pid} True"])


def test_a_signal_reaches_the_job_and_its_exit_code_comes_back(temporary: Path, tmp_path: Path) -> None:
    process = begin(tmp_path / "one", "wait")
    waiting(process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[:2] == (7, ["interrupted"])
    process = begin(tmp_path / "one", "wait")
    job = waiting(process)
    job.kill()
    assert ended(process)[0] == 128 + signal.SIGKILL


def test_a_job_ends_with_the_process_that_asked_for_it(temporary: Path, tmp_path: Path) -> None:
    first, second = begin(tmp_path / "one", "wait"), begin(tmp_path / "two", "wait")
    job, other = waiting(first), waiting(second)
    assert len(servers(temporary)) == 1 + 2, "the server, and what it forked"
    first.kill()
    wait_until_gone(job)
    assert other.is_running()
    second.send_signal(signal.SIGINT)
    assert ended(second)[0] == 7


def test_a_server_that_dies_takes_no_job_with_it_and_the_next_job_starts_another(
    temporary: Path, tmp_path: Path
) -> None:
    process = begin(tmp_path / "one", "wait")
    job = waiting(process)
    parent = job.parent()
    assert parent is not None
    parent.kill()
    wait_until_gone(parent)
    code, out, _ = ended(begin(tmp_path / "two"))
    assert (code, job.is_running()) == (0, True)
    assert f" {parent.pid} " not in out[0]
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)
    assert code == 1
    assert out == [
        "interrupted",
        "the process that this one was forked from died: how it ended is not known",
    ]


def test_where_no_server_starts_the_job_runs_in_its_own_process(temporary: Path, tmp_path: Path) -> None:
    process = begin(tmp_path / "one", "fail", imported="no.such.module")
    code, out, _ = ended(process)
    assert (code, servers(temporary)) == (3, [])
    assert out == [f"1 ['fail'] {tmp_path / 'one'} of one {os.getpid()} False"]
