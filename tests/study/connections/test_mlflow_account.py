"""Whose a study is: the account where MLflow says that it is right, else what the person says."""

import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from command_line import Study

from study.connections.mlflow_account import AS_TOLD, VERIFIED, Identity, identify
from study.driver.running import _start
from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec

LOGIN = "Basic " + b64encode(b"ada@lab:right").decode()
SPEC = {"study": "mine", "dataset": "digits", "search_space": "digits", "budget": {"trials": 1, "epochs": 1}}


class _Accounts(BaseHTTPRequestHandler):
    """Answers as a server with accounts, or, where `answer` says so, as something else."""

    answer: tuple[int, object] | None = None

    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == LOGIN and self.path.endswith("get?username=ada%40lab")
        status, found = self.answer or (
            (200, {"user": {"username": "ada@lab"}}) if is_known else (401, "You are not authenticated")
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of such a server, with an account in the environment."""
    for name, value in (("USERNAME", "ada@lab"), ("PASSWORD", "right")):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    monkeypatch.setenv("STUDY_USER", "ada")
    monkeypatch.setattr(_Accounts, "answer", None)
    listening = HTTPServer(("127.0.0.1", 0), _Accounts)
    Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()


def test_an_account_that_the_server_takes_is_the_owner(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identify(server) == Identity(user="ada@lab", source=VERIFIED)
    monkeypatch.setenv("STUDY_USER_SOURCE", AS_TOLD)  # in a job, whose account is the cluster's
    assert identify(server) == Identity(user="ada", source=AS_TOLD)


@pytest.mark.parametrize(
    "answer",
    [(404, {}), (500, {}), (200, []), (200, {"user": {"username": "ben"}}), (200, {"user": None})],
)
def test_what_is_no_such_server_leaves_it_as_told(
    server: str, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, object]
) -> None:
    monkeypatch.setattr(_Accounts, "answer", answer)
    assert identify(server) == Identity(user="ada", source=AS_TOLD)


def test_without_account_password_or_server_it_is_as_told(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Identity(user="ada", source=AS_TOLD)
    assert identify(None) == identify("sqlite:///x.db") == identify("http://127.0.0.1:1") == told
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert identify(server) == told


def test_the_record_says_whose_it_is_and_who_says_so(
    server: str, home_with_digits: Home, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_study(StudySpec.parse(SPEC), home_with_digits)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    _start(plan, 0)
    shown = json.loads(study(home_with_digits, "show", "mine", "--json").stdout)
    assert (shown["user"], shown["user_source"]) == ("ada@lab", VERIFIED)
    assert study(home_with_digits, "stop", "mine").returncode == 0, "it is this person's own"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ben")
    assert "is ada@lab's, and you are ada" in study(home_with_digits, "stop", "mine").stderr
