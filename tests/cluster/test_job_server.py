"""What answers at an address, and what travels there: one message where it is no cluster, or too old."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import study
from cluster.errors import ClusterError
from cluster.jobs import JobServer
from cluster.working_dir import MAX_BYTES, source_files, zip_files
from study.remote.payload import source_code, study_files
from study.remote.replies import Answer, Begun, print_reply, replies, without_replies
from study.remote.submission import check_versions
from study.study_file.study_spec import StudySpec

Serve = Callable[[dict[str, object]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves texts and values by path, a status where it is a number, or (status, answer) in turn.

    Returns the address.
    """
    servers: list[HTTPServer] = []

    def start(answers: dict[str, object]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path, 404)
                status, answer = (
                    answer.pop(0)
                    if isinstance(answer, list)
                    else (answer if isinstance(answer, int) else 200, answer)
                )
                self.send_response(status)
                self.end_headers()
                if not isinstance(answer, int):
                    self.wfile.write(
                        answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                    )

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()


def head(ray: str, python: str) -> dict[str, object]:
    """What Ray's dashboard tells of itself."""
    return {
        "/api/version": {"ray_version": ray},
        "/api/v0/cluster_metadata": {"data": {"pythonVersion": python}},
    }


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "is not Ray's dashboard; give its address, such as http://HEAD:8265"),
        ({"/api/version": "<html>Welcome</html>"}, "is not Ray's dashboard"),
        ({"/api/version": {"version": 3}}, "is not Ray's dashboard"),
        (
            {"/api/version": 401},
            "asks for its token, and there is none here; copy it from the head to ~/.ray/auth_token",
        ),
        ({"/api/version": 403}, "refuses the token in "),
        ({"/api/version": 500}, "answers 500: Internal Server Error"),
        (head("2.40.0", "3.12.1"), "runs Ray 2.40.0, this code needs Ray 2.55 or newer"),
        (head("2.60.0", "3.10.4"), "runs Python 3.10.4, this code needs Python 3.11 or newer"),
    ],
)
def test_what_is_no_cluster_of_ours_is_one_message(
    serve: Serve, answers: dict[str, object], message: str
) -> None:
    with pytest.raises(ClusterError, match=re.escape(message)):
        check_versions(JobServer(serve(answers)), print)


def test_another_version_that_serves_is_told_and_no_more(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    check_versions(JobServer(serve(head("2.71.0", "3.99.0"))), print)
    assert "the cluster runs Python 3.99.0, this machine" in capsys.readouterr().out


def test_a_head_that_does_not_tell_its_python_is_taken(serve: Serve) -> None:
    versions = JobServer(serve({"/api/version": {"ray_version": "2.71.0"}})).versions()
    assert (versions.ray, versions.python) == ("2.71.0", "")


def test_a_head_that_has_just_started_takes_the_job_a_little_later(serve: Serve) -> None:
    answers = [(500, "Traceback\nNo available agent to submit job, please try again later."), (200, {})]
    JobServer(serve({"/api/jobs/": answers})).submit(
        "study-a", "true", working_dir="gcs://a.zip", environment={}, metadata={}
    )
    assert not answers


def test_a_head_whose_agent_does_not_start_is_one_message(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.jobs.AGENT_SECONDS", 0.0)
    answers = [(500, "No available agent to submit job, please try again later.")] * 9
    with pytest.raises(
        ClusterError, match="give it another one: `ray start --head --dashboard-agent-listen-port PORT`"
    ):
        JobServer(serve({"/api/jobs/": answers})).submit(
            "study-a", "true", working_dir="gcs://a.zip", environment={}, metadata={}
        )


@pytest.mark.parametrize("address", ["ray://head:10001", "", "http://", "ftp://head"])
def test_what_is_no_address_is_one_message(address: str) -> None:
    with pytest.raises(ClusterError, match="that of its dashboard, such as http://HEAD:8265; got"):
        JobServer(address)


def test_a_dead_head_is_found_out_at_once() -> None:
    with pytest.raises(
        ClusterError, match=r"no Ray cluster answers at http://127.0.0.1:1 .*Connection refused"
    ):
        JobServer("127.0.0.1:1/").versions()


def test_the_same_files_make_the_same_zip_and_data_makes_none() -> None:
    first, again, other = {"b": b"2", "a": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"1", "b": b"3"}
    assert zip_files(first) == zip_files(again) != zip_files(other)
    with pytest.raises(
        ClusterError, match=r"at most 20,000,000 bytes, this has 20,000,001; the largest file is images.bin"
    ):
        zip_files({"a.py": b"1", "images.bin": b"0" * MAX_BYTES})


def test_code_and_spec_travel_and_nothing_else(tmp_path: Path) -> None:
    files = source_code()
    ours = {
        "study/cli/job.py",
        "cluster/slot_queue.py",
        "trainables/training/loop.py",
        "search_spaces/studies/fer-r18-freeze-sweep.yaml",
    }
    assert ours <= set(files)
    assert {Path(file).suffix for file in files} == {".py", ".yaml"}
    assert len(zip_files(files)) < 2_000_000
    own = tmp_path / "space.py"
    own.write_text("SPACE = 1")
    spec = StudySpec.parse({"study": "s", "dataset": "digits", "search_space": f"{own}:SPACE"})
    travels = study_files(spec)
    assert travels["search_space.py"] == b"SPACE = 1"
    (tmp_path / "study.yaml").write_bytes(travels["study.yaml"])
    assert StudySpec.read(tmp_path / "study.yaml") == spec.model_copy(
        update={"search_space": "search_space.py:SPACE"}
    )
    assert (
        source_files(Path(study.__path__[0]))["study/home.py"]
        == (Path(study.__path__[0]) / "home.py").read_bytes()
    )


def test_replies_are_found_in_a_log_and_left_out_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    print(
        "2026-11-21 09:21:19,011\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
        "Running entrypoint for job x: python -m study.cli.job"
    )
    print_reply(Begun(home="/shared"))
    print("    3s  starting Ray and MLflow")
    print_reply(Answer(stdout="a\nb", stderr="", code=0))
    log = capsys.readouterr().out
    assert replies(log) == (Begun(home="/shared"), Answer(stdout="a\nb", stderr="", code=0))
    assert without_replies(log) == "    3s  starting Ray and MLflow\n"
    assert len(replies(log[:-20])) == 1, "a line that is still being written"
