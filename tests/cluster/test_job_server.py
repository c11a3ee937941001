"""What answers at an address, and what travels there: one message where it is no cluster, or too old."""

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import study
from cluster.dashboard import Dashboard
from cluster.errors import ClusterError
from cluster.jobs import JobServer
from cluster.working_dir import MAX_BYTES, source_files, zip_files
from study.remote.desk import Question, desk_name
from study.remote.payload import source_code, study_files
from study.remote.replies import Answer, Begun, print_reply, replies, without_replies
from study.remote.sent_jobs import DRIVER_BYTES
from study.remote.submission import check_versions
from study.study_file.study_spec import StudySpec

SILENCE = "…"
"""In place of a text: nothing until the client goes."""
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


def test_a_driver_states_its_memory_and_stays_on_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, object]] = []
    monkeypatch.setattr(Dashboard, "post", lambda _, path, content: sent.append({"path": path, **content}))
    words = {"working_dir": "gcs://a.zip", "environment": {}, "metadata": {}}
    JobServer("head").submit("study-a", "true", **words, memory_bytes=DRIVER_BYTES)  # type: ignore[arg-type]
    JobServer("head").submit("command-a", "true", **words)  # type: ignore[arg-type]
    assert sent[0]["entrypoint_memory"] == DRIVER_BYTES
    assert sent[0]["entrypoint_resources"] == {"node:__internal_head__": 0.001}
    assert not {"entrypoint_memory", "entrypoint_resources", "entrypoint_num_cpus"} & set(sent[1])
    assert "entrypoint_num_cpus" not in sent[0], "heads that shall run no trials have no CPUs for Ray"


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


@pytest.fixture
def socket_of_log() -> Iterator[Callable[[list[list[str]]], str]]:
    """Serves a job whose log comes in texts, one list for each connection. Returns the address."""
    import asyncio

    from aiohttp import web

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def start(connections: list[list[str]]) -> str:
        log = "".join(max(connections, key=lambda texts: len("".join(texts))))

        async def send(request: web.Request) -> web.WebSocketResponse:
            to_client = web.WebSocketResponse()
            await to_client.prepare(request)
            for text in connections.pop(0):
                await (to_client.receive() if text == SILENCE else to_client.send_str(text))
            return to_client

        async def job(_: web.Request) -> web.Response:
            state = "RUNNING" if connections else "SUCCEEDED"
            return web.json_response({"submission_id": "x", "status": state, "driver_node_id": "head"})

        async def listing(_: web.Request) -> web.Response:
            return web.json_response({"data": {"result": {"internal": ["job-driver-x.log"]}}})

        async def end(request: web.Request) -> web.Response:
            return web.Response(text="".join(log.splitlines(keepends=True)[-int(request.query["lines"]) :]))

        async def serve() -> int:
            app = web.Application()
            app.router.add_get("/api/jobs/x", job)
            app.router.add_get("/api/jobs/x/logs/tail", send)
            app.router.add_get("/api/v0/logs", listing)
            app.router.add_get("/api/v0/logs/file", end)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            return int(runner.addresses[0][1])

        port = asyncio.run_coroutine_threadsafe(serve(), loop).result(20)
        return f"http://127.0.0.1:{port}"

    yield start
    loop.call_soon_threadsafe(loop.stop)


def test_a_log_is_followed_in_whole_lines_each_once_though_the_connection_breaks(
    socket_of_log: Callable[[list[list[str]]], str],
) -> None:
    connections = [["one\ntw", "o\nthr"], ["one\n", "two\nthree\n", "fo"], ["one\ntwo\nthree\nfour\nend\n"]]
    server = JobServer(socket_of_log(connections))
    assert "".join(server.follow("x")) == "one\ntwo\nthree\nfour\nend\n"
    assert not connections


def test_a_log_that_came_whole_is_not_asked_for_again(
    socket_of_log: Callable[[list[list[str]]], str],
) -> None:
    connections = [["one\n", "two\n"]]
    assert list(JobServer(socket_of_log(connections)).follow("x")) == ["one\n", "two\n"]


def test_ctrl_c_ends_the_wait_for_the_next_line(socket_of_log: Callable[[list[list[str]]], str]) -> None:
    lines = JobServer(socket_of_log([["one\n", SILENCE]])).follow("x")
    assert next(lines) == "one\n"
    # A shell has what it starts with `&` ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            next(lines)
    finally:
        signal.signal(signal.SIGINT, before)


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
    assert all_but_documents() - set(files) == set(), "what the code reads travels with it"
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


def all_but_documents() -> set[str]:
    """The files of our packages, without pages for people, and without deployment, which has secrets."""
    root = Path(study.__path__[0]).parent
    return {
        file.relative_to(root).as_posix()
        for package in ("cluster", "search_spaces", "study", "trainables")
        for file in (root / package).rglob("*")
        if file.is_file()
        and file.suffix not in (".md", ".pyc", ".typed")
        and "deployment" not in file.parts[len(root.parts) :]
    }


def test_replies_are_found_in_a_log_and_left_out_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    print(
        "2026-11-21 09:21:19,011\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
        "Running entrypoint for job x: python -m study.cli.job"
    )
    print_reply(Begun(home="/shared", user="ada", priority=3))
    print("    3s  starting Ray and MLflow")
    print_reply(Answer(stdout="a\nb", stderr="", code=0))
    log = capsys.readouterr().out
    assert replies(log) == (
        Begun(home="/shared", user="ada", priority=3),
        Answer(stdout="a\nb", stderr="", code=0),
    )
    assert without_replies(log) == "    3s  starting Ray and MLflow\n"
    assert len(replies(log[:-20])) == 1, "a line that is still being written"


def test_another_version_home_or_tracking_server_has_another_desk() -> None:
    code, settings = {"a.py": b"1", "b.py": b"2"}, {"STUDY_HOME": "/shared", "STUDY_USER": "ada"}
    name = desk_name(code, settings)
    assert re.fullmatch(r"desk-[0-9a-f]{16}", name)
    assert desk_name({"b.py": b"2", "a.py": b"1"}, {**settings, "STUDY_USER": "ben"}) == name
    others = [
        desk_name({**code, "b.py": b"3"}, settings),
        desk_name({"a.py": b"1b.py", "c.py": b"2"}, settings),
        desk_name(code, {"STUDY_HOME": "/other"}),
        desk_name(code, {**settings, "MLFLOW_TRACKING_URI": "http://mlflow:5000"}),
    ]
    assert len({name, *others}) == 5


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"1", b"\xff", b'{"words": 1, "user": "ada"}'])
def test_a_letter_that_is_no_question_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match="no question"):
        Question.from_bytes(content)
    question = Question(words=["list", "--tag", "owner=ådå"], user="ada")
    assert Question.from_bytes(question.to_bytes()) == question
