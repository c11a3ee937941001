"""The desk of a real cluster: reads without a job, for whoever may submit and nobody else; logs by their
ends.
"""

import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from laptop import PATIENCE_SECONDS, Laptop
from proxies import Proxy

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer
from cluster.working_dir import zip_files
from study.remote.desk import DESK, ask_desk, desk_name
from study.remote.job_lookup import STUDY
from study.remote.payload import job_environment, source_code
from study.remote.submission import run_command

pytestmark = pytest.mark.slow  # a head, a node and a server start for them

MOST_SECONDS = 5.0
"""Of a read on a busy machine; on an idle one it takes under a second, and a job at least five."""
LOG_BYTES = 100_000_000


@pytest.fixture(autouse=True)
def _token(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in laptop.cluster.client_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", laptop.mlflow)


@pytest.fixture
def server(laptop: Laptop) -> JobServer:
    return JobServer(laptop.cluster.address)


def desks(server: JobServer) -> list[Job]:
    """Those of this code and home that run; other tests have others."""
    name = desk_name(source_code(), job_environment(server, None, needs_tracking=False, is_read=True))
    return [job for job in server.jobs() if job.metadata.get(DESK) == name and not job.has_ended]


def test_reads_after_the_first_are_quick_and_are_no_jobs(laptop: Laptop, server: JobServer) -> None:
    with ThreadPoolExecutor(2) as both:  # who asks first starts the desk, be it two at once
        first = list(both.map(lambda user: laptop.study("data", "list", user=user), ("ada", "ben")))
    assert [done.returncode for done in first] == [0, 0], first
    (desk,) = desks(server)
    jobs = {job.id for job in server.jobs()}
    seconds = []
    commands = (
        "data list --json",
        "list --json",
        "queue --json",
        "models --json",
        "data show digits",
        "show none",
    )
    for words in map(shlex.split, commands):
        started = time.monotonic()
        read = laptop.study(*words)
        seconds.append(time.monotonic() - started)
        assert read.returncode == (2 if words[0] == "show" else 0), read
    print(f"seconds of {commands}: {[round(one, 2) for one in seconds]}")
    assert sorted(seconds)[len(seconds) // 2] < MOST_SECONDS
    assert {job.id for job in server.jobs()} == jobs
    assert json.loads(laptop.study("data", "list", "--json").stdout)[0]["name"] == "digits"
    assert "unknown study 'none'" in laptop.study("show", "none").stderr

    for _ in range(3):
        (desk,) = desks(server)
        server.stop(desk.id)  # as an operator may
        wait_for(lambda id_=desk.id: server.job(id_).has_ended)
        again = laptop.study("data", "list", "--json")
        assert json.loads(again.stdout)[0]["name"] == "digits"
    assert len(desks(server)) == 1


def test_desk_and_job_answer_alike(
    laptop: Laptop, server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_USER", "ada")
    for words in (["list"], ["data", "show", "digits"], ["history", "digits"], ["show", "none"]):
        answered = ask_desk(words, server)
        assert answered is not None
        assert answered == run_command(words, server)


def test_without_the_token_nothing_is_read(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = ask_desk(["list"], server)
    assert answered is not None
    (desk,) = desks(server)
    name = desk.metadata[DESK]
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-somebody-else" * 3)
    for ask in (
        lambda: ask_desk(["list"], server),
        lambda: server.send_letter(name, b"{}"),
        lambda: server.letter_answer(desk, name, "1"),
        lambda: server.last_lines(desk, 3),
        lambda: list(server.follow(desk.id)),
    ):
        with pytest.raises(ClusterError, match="refuses the token in RAY_AUTH_TOKEN"):
            ask()


@pytest.fixture
def proxy(laptop: Laptop) -> Iterator[Proxy]:
    counting = Proxy(int(laptop.cluster.address.rsplit(":", 1)[1]))
    yield counting
    counting.close()


def test_a_log_of_100_mb_is_read_by_its_end(laptop: Laptop, proxy: Proxy) -> None:
    server = JobServer(proxy.address)
    lines = (
        f"for i in range({LOG_BYTES // 1_000}): print('    3s  ' + 'x' * 991)",
        "print('   17s  the last line', flush=True)",
        "import time, pathlib",
        "while not pathlib.Path('end').exists(): time.sleep(0.1)",
        "print('   18s  the end')",
    )
    program = "\n".join(lines).replace("pathlib.Path('end')", f"pathlib.Path({str(laptop.folder / 'end')!r})")
    server.submit(
        "study-long",
        f"{sys.executable} -c {shlex.quote(program)}",
        working_dir=server.upload(zip_files({"a.txt": b"1"})),
        environment={},
        metadata={STUDY: "long", "user": "ada"},
    )
    wait_for(lambda: "the last line" in server.last_lines(server.job("study-long"), 1))
    proxy.num_bytes = 0
    (job,) = json.loads(laptop.study("status", "long", "--json", "--address", proxy.address).stdout)
    assert (job["says"], job["user"]) == ("the last line", "ada")
    # 100 lines of the end and 100 kB of the beginning, where a resumed study says whose it is.
    assert proxy.num_bytes < LOG_BYTES / 5

    shown = laptop.study("logs", "long", "--lines", "1", "--address", proxy.address)
    assert shown.stdout == "   17s  the last line\n"
    assert proxy.num_bytes < LOG_BYTES / 5

    following = laptop.start("logs", "long", "-f", "--address", proxy.address)
    output: list[str] = []
    reading = threading.Thread(target=lambda: output.append(following.communicate()[0]))
    reading.start()
    wait_for(lambda: proxy.num_bytes > LOG_BYTES)
    time.sleep(10)  # in which it asks for no line again
    assert proxy.num_bytes < 1.3 * LOG_BYTES
    (laptop.folder / "end").touch()
    reading.join(PATIENCE_SECONDS)
    assert output[0].endswith("the last line\n   18s  the end\n")
    assert proxy.num_bytes < 1.3 * LOG_BYTES


def wait_for(holds: Callable[[], bool]) -> None:
    """Until a function is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)
