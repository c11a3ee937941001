"""Nothing that a stranger sends to what answers ends in a traceback of ours, or in a status of failure."""

import json
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import mlflow.pyfunc
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from odd_requests import odd_answer, odd_body, odd_log, odd_words

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer, Versions
from study.cli.desk_server import answer
from study.home import Home
from study.registry.registration import MODEL_FILE, signature_of
from study.remote.replies import replies, reply_line
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

OURS = ("served_model.py", "/trainables/")
QUICK, SLOW = 500, 10_000


@pytest.fixture(scope="module")
def served(digits_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A classifier as MLflow's server has it."""
    tree = {
        "data": {"image_size": 8},
        "model": {"architecture": "cnn2-32x64"},
        "phases": [{"epochs": 1, "learning_rate": 0.01}],
    }
    torch.set_num_threads(1)
    training = Training(
        Recipe.from_dict(tree), Dataset.open(digits_home.datasets / "digits"), device=torch.device("cpu")
    )
    next(iter(training))
    config = ClassifierConfig.of(training.recipe, training.manifest)
    folder = tmp_path_factory.mktemp("served")
    Classifier(config, training.weights(), device=torch.device("cpu")).save(folder / "classifier")
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        python_model=str(MODEL_FILE),
        artifacts={"classifier": str(folder / "classifier")},
        signature=signature_of(config.classes),
        pip_requirements=["mlflow"],
    )
    return mlflow.pyfunc.load_model(str(folder / "model"))


def asked(served: Any, content_type: str, body: bytes) -> tuple[int, str]:
    """The status and the text of an answer, as MLflow's server makes them."""
    try:
        answer = invocations(body, content_type, served, served.metadata.get_input_schema())
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  the server answers 500
        return 500, traceback.format_exc()
    return answer.status, answer.response


def check_served(served: Any, seeds: range) -> Counter[str]:
    counts: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        status, text = asked(served, *odd_body(seed))
        trace = json.loads(text).get("stack_trace", "") if status == 400 else text if status >= 500 else ""
        is_ours = any(part in trace for part in OURS)
        of_mlflow = status >= 500 or "Traceback" in trace
        counts["wrong" if is_ours else "MLflow's own" if of_mlflow else f"{status // 100}xx"] += 1
        if is_ours:
            wrong.append(f"seed {seed}: {trace.strip().splitlines()[-1]}")
    print(dict(counts))
    assert not wrong, "\n".join(wrong[:20])
    return counts


def test_requests_to_a_served_model(served: Any) -> None:
    counts = check_served(served, range(QUICK))
    assert counts["4xx"] > 50
    assert counts["2xx"] > 5


@pytest.mark.slow
def test_ten_thousand_requests_to_a_served_model(served: Any) -> None:
    check_served(served, range(SLOW))


@pytest.mark.parametrize("number", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_logs_of_jobs(number: int) -> None:
    assert sum(len(replies(odd_log(seed))) for seed in range(number)) > number // 100


class _OddHandler(BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (200, b"")

    def do_GET(self) -> None:
        self.send_response(self.answer[0])
        self.send_header("Content-Length", str(len(self.answer[1])))
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def odd_server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _OddHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.mark.parametrize("number", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_answers_of_what_is_no_dashboard(
    odd_server: HTTPServer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    jobs = JobServer(f"http://127.0.0.1:{odd_server.server_port}")
    known = Job(id="x", state="RUNNING", node="head")
    counts: Counter[str] = Counter()
    for seed in range(number):
        _OddHandler.answer = odd_answer(seed)
        for ask in (
            jobs.versions,
            jobs.jobs,
            lambda: jobs.job("x"),
            lambda: jobs.find_job("x") or "none",
            lambda: jobs.log("x"),
            lambda: jobs.last_lines(known, 9),
            lambda: jobs.letter_answer(known, "box", "1") or "none",
        ):
            try:
                found: Any = ask()
            except ClusterError:
                counts["refused"] += 1
            else:
                assert isinstance(found, Versions | tuple | Job | str)
                counts["accepted"] += 1
    print(dict(counts))
    assert counts["refused"] > number


def check_words(home: Home, monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    monkeypatch.setenv("STUDY_HOME", str(home.folder))
    wrong, codes = [], Counter[int]()
    for seed in seeds:
        words = odd_words(seed, ("digits", "s"))
        monkeypatch.setattr(sys, "argv", ["job"])
        try:
            reply = answer(list(words))
        except Exception as error:  # noqa: BLE001  any is a defect
            wrong.append(f"seed {seed}, {words}: {error!r}")
            continue
        assert replies(reply_line(reply)) == (reply,)
        codes[reply.code] += 1
        if "Traceback" in reply.stderr:
            wrong.append(f"seed {seed}, {words}: {reply.stderr[-200:]}")
    print(dict(codes))
    assert not wrong, "\n".join(wrong[:20])
    assert set(codes) <= {0, 1, 2}


def test_commands_from_strangers(home_with_digits: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    check_words(home_with_digits, monkeypatch, range(100))


@pytest.mark.slow
def test_a_thousand_commands_from_strangers(home_with_digits: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    check_words(home_with_digits, monkeypatch, range(1000))
