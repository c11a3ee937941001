"""Who does not watch a study is told of its end, its failure and a long wait; no study fails of that, and the
address stays a secret.
"""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from command_line import Study
from final_results import FINAL
from ports import free_port
from webhook import Webhook, running_webhook

from study.driver import notices
from study.driver.ending import StudyNotices
from study.driver.notice import Notice
from study.driver.notices import Notices
from study.driver.running import _start
from study.errors import FailedStudyError, SpecError, StopRequestedError
from study.home import Home
from study.planning.plan import plan_study
from study.search.record.trial import EpochReport, Trial
from study.study_file.notify import Notify
from study.study_file.study_spec import StudySpec

SECRET = "T0/B0/secret-9f2"
NOTICE = Notice(
    text="study faces (ada, on node) finished: well", study="faces", event="end", state="finished", user="ada"
)
SPEC = {"study": "faces", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3}}
NOBODY = Notify()


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with running_webhook() as running:
        monkeypatch.setenv("STUDY_NOTIFY", f"{running.address}/{SECRET}")
        monkeypatch.setattr(notices, "PAUSES", (0.01, 0.01))
        yield running


@pytest.fixture
def said() -> list[str]:
    """The lines that a person at the terminal reads."""
    return []


def ended(home: Home, said: list[str], raised: BaseException) -> None:
    """A study that ends so."""
    told = StudyNotices(StudySpec.parse(SPEC), "ada", home.studies / "faces", said.append)
    with pytest.raises(type(raised)), told.end_told():
        raise raised


def test_a_notice_is_posted_as_slack_and_mattermost_take_it(webhook: Webhook, said: list[str]) -> None:
    Notices.of(NOBODY, said.append).send(NOTICE)
    (told,) = webhook.told
    assert told["text"] == "study faces (ada, on node) finished: well"
    assert (told["study"], told["state"], told["user"]) == ("faces", "finished", "ada")
    assert webhook.paths == [f"/{SECRET}"]
    assert said == []


def test_another_try_follows_a_server_that_is_busy(webhook: Webhook, said: list[str]) -> None:
    webhook.refusals = [503, 429]
    Notices.of(NOBODY, said.append).send(NOTICE)
    assert len(webhook.told) == 1
    assert len(webhook.paths) == 3
    assert said == []


@pytest.mark.parametrize(("refusals", "num_tries"), [([404], 1), ([500, 500, 500], 3)])
def test_who_cannot_be_told_is_a_line_without_the_secret(
    webhook: Webhook, said: list[str], refusals: list[int], num_tries: int
) -> None:
    webhook.refusals = list(refusals)
    Notices.of(NOBODY, said.append).send(NOTICE)
    assert len(webhook.paths) == num_tries
    assert said == [f"nobody could be told at 127.0.0.1: it answers {refusals[0]}"]


def test_an_address_where_nothing_answers_fails_nothing(
    home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_NOTIFY", f"http://127.0.0.1:{free_port()}/{SECRET}")
    monkeypatch.setattr(notices, "PAUSES", (0.01,))
    ended(home, said, FailedStudyError("none of the 3 trials has a result"))
    (line,) = said
    assert line.startswith("nobody could be told at 127.0.0.1: ")
    assert SECRET not in line


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (FailedStudyError("none of the 3 trials has a result\nmore"), "failed"),
        (StopRequestedError("study 'faces' was asked to stop"), "stopped"),
        (ZeroDivisionError(), "failed"),
    ],
)
def test_a_study_that_fails_or_is_stopped_says_why(
    webhook: Webhook, home: Home, said: list[str], error: Exception, state: str
) -> None:
    ended(home, said, error)
    (told,) = webhook.told
    assert told["state"] == state
    why = str(error).partition("\n")[0] or "ZeroDivisionError"
    assert told["text"].startswith("study faces (ada, on ")
    assert told["text"].endswith(f") is {state}: {why}")


def test_a_study_that_finished_says_what_it_reached(webhook: Webhook, home: Home, said: list[str]) -> None:
    plan = plan_study(StudySpec.parse(SPEC), home)
    record = _start(plan, 0)
    assert record.ask(plan.space, 0) is not None
    record.report(0, EpochReport(epoch=1, value=0.75, metrics={}, seconds=1.0, run_id=None))
    record.finish(0, "complete")
    with StudyNotices(plan.spec, "ada", plan.folder, said.append).end_told():
        FINAL.write(plan.folder)
    (told,) = webhook.told
    assert told["state"] == "finished"
    assert told["text"].endswith(
        ") finished: 1 of 3 trials ended; best macro_f1 0.75 in validation; accuracy 0.9 on the test split; "
        "registered as pets version 7"
    )
    assert said == []


def test_who_interrupts_a_study_is_not_told_of_it(webhook: Webhook, home: Home, said: list[str]) -> None:
    ended(home, said, KeyboardInterrupt())
    assert webhook.paths == []


def test_a_long_wait_is_told_once(
    webhook: Webhook, home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_NOTIFY_WAIT", "0.005")
    told = StudyNotices(StudySpec.parse(SPEC), "ada", home.studies / "faces", said.append)

    def wait() -> None:
        told.note_phase("queued", "waits for a slot: place 2 of 3, wants 4; held are 8 by pets (ben)")

    wait()
    time.sleep(0.05)
    assert webhook.told == [], "it has just begun to wait"
    time.sleep(0.4)
    wait()
    wait()
    until(lambda: len(webhook.told) == 1)
    assert webhook.told[0]["state"] == "queued"
    assert webhook.told[0]["text"].endswith(
        ") waits for a slot: place 2 of 3, wants 4; held are 8 by pets (ben)"
    )
    told.note_phase("running", None)
    wait()
    assert len(webhook.told) == 1, "a new wait begins anew"


def ended_trial(number: int, value: float) -> Trial:
    """One of a study whose first trial has this value."""
    return Trial(
        number=number,
        state="complete",
        point={"learning_rate": 0.001},
        origin=None,
        values={1: value},
        best_epoch=1,
        value=value,
        metrics={},
        measures={},
        objectives={},
        violations={},
        seconds=1.0,
        run_id=None,
        reason=None,
        retries=(),
        facts={},
        ended=1.0,
    )


@pytest.mark.parametrize("said_by", ["environment", "study file"])
def test_a_new_best_is_told_where_it_is_asked_for(
    webhook: Webhook, home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch, said_by: str
) -> None:
    spec = StudySpec.parse(SPEC)
    StudyNotices(spec, "ada", home.folder, said.append).note_best(ended_trial(0, 0.25))
    if said_by == "environment":
        monkeypatch.setenv("STUDY_NOTIFY_AT", "best, end")
    else:
        monkeypatch.setenv("TEAM_WEBHOOK", f"{webhook.address}/team")
        monkeypatch.delenv("STUDY_NOTIFY")
        spec = StudySpec.parse({**SPEC, "notify": {"at": ["best"], "webhook": "TEAM_WEBHOOK"}})
    told = StudyNotices(spec, "ada", home.folder, said.append)
    told.note_best(ended_trial(3, 0.5))
    until(lambda: len(webhook.told) == 1)
    (notice,) = webhook.told
    assert (notice["event"], notice["state"]) == ("best", "running")
    assert notice["text"].endswith(") has a new best: macro_f1 0.5 in validation (trial-0003)")
    assert notice["best"] == {
        "trial": "trial-0003",
        "metric": "macro_f1",
        "value": 0.5,
        "point": {"learning_rate": 0.001},
    }
    assert said == []


def test_bests_that_follow_each_other_are_told_by_the_last(
    webhook: Webhook, home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "SECONDS_BETWEEN_BESTS", 0.3)
    monkeypatch.setenv("STUDY_NOTIFY_AT", "best")
    told = StudyNotices(StudySpec.parse(SPEC), "ada", home.folder, said.append)
    told.note_best(ended_trial(0, 0.1))
    until(lambda: len(webhook.told) == 1)
    for number in range(1, 6):
        told.note_best(ended_trial(number, 0.1 * number))
    until(lambda: len(webhook.told) == 2)
    assert webhook.told[1]["best"]["trial"] == "trial-0005"


def test_no_trial_waits_for_a_webhook_that_is_dead(
    home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_address() as address:
        monkeypatch.setenv("STUDY_NOTIFY", address)
        monkeypatch.setenv("STUDY_NOTIFY_AT", "best")
        told = StudyNotices(StudySpec.parse(SPEC), "ada", home.folder, said.append)
        begun = time.monotonic()
        for number in range(100):
            told.note_best(ended_trial(number, 0.001 * number))
        with pytest.raises(KeyboardInterrupt), told.end_told():
            raise KeyboardInterrupt
        assert time.monotonic() - begun < 1.0


@contextmanager
def silent_address() -> Iterator[str]:
    """Something that takes connections and says nothing."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}/{SECRET}"


def test_a_command_reads_the_same_on_its_standard_input(
    webhook: Webhook, home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = home.folder / "told.json", home.folder / "other.json"
    monkeypatch.setenv("STUDY_NOTIFY_COMMAND", f"cat >{other}; echo {SECRET} >&2")
    Notices.of(Notify(command=f"cat >{file}"), said.append).send(NOTICE)
    assert json.loads(file.read_text()) == json.loads(other.read_text()) == webhook.told[0]
    Notices.of(Notify(command=f"cat >{file}; echo {SECRET}; exit 3"), said.append).send(NOTICE)
    assert said == ["nobody could be told by the command of `notify`: it ended with code 3"]


def test_an_address_in_a_study_file_is_refused_and_not_shown(study: Study, home: Home) -> None:
    file = home.folder / "faces.yaml"
    text = "study: faces\ndataset: digits\nsearch_space: digits\nnotify: {webhook: %s}\n"
    for written, rule in (
        (f"https://hooks.example/{SECRET}", "must be the name of an environment variable"),
        ("NOT_SET_ANYWHERE", "which is not set here"),
    ):
        file.write_text(text % written)
        refused = study(home, "run", file)
        assert (refused.returncode, rule in refused.stderr) == (2, True), refused.stderr
        assert SECRET not in refused.stderr
    assert not home.studies.exists()


def test_the_command_is_in_no_public_record() -> None:
    spec = StudySpec.parse({**SPEC, "notify": {"command": f"tell {SECRET}"}})
    assert SECRET not in json.dumps(spec.to_public_dict())
    assert StudySpec.parse(spec.to_dict()) == spec


def test_nobody_is_told_where_no_address_is_named(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDY_NOTIFY")
    Notices.of(NOBODY, print).send(NOTICE)
    assert webhook.paths == []


@pytest.mark.parametrize(
    ("variables", "rule"),
    [
        ({"STUDY_NOTIFY": f"ftp://host/{SECRET}"}, "STUDY_NOTIFY must be https://"),
        ({"STUDY_NOTIFY": f"hooks.slack.com/{SECRET}"}, "STUDY_NOTIFY must be https://"),
        ({"STUDY_NOTIFY": f"https://[{SECRET}"}, "STUDY_NOTIFY must be https://"),
        ({"STUDY_NOTIFY": f"http://h:p/{SECRET}"}, "STUDY_NOTIFY must be https://"),
        ({"STUDY_NOTIFY": "mailto:ada@example.org"}, "STUDY_MAIL_SERVER must be smtp://"),
        (
            {"STUDY_NOTIFY": "mailto:ada@example.org", "STUDY_MAIL_SERVER": f"http://a:{SECRET}@h"},
            "STUDY_MAIL_SERVER must be smtp://",
        ),
        ({"STUDY_NOTIFY": "http://h/x", "STUDY_NOTIFY_WAIT": "soon"}, "number of minutes"),
        ({"STUDY_NOTIFY": "http://h/x", "STUDY_NOTIFY_WAIT": "-1"}, "number of minutes"),
        ({"STUDY_NOTIFY": "http://h/x", "STUDY_NOTIFY_WAIT": "nan"}, "number of minutes"),
        ({"STUDY_NOTIFY_AT": "best, sometimes"}, "STUDY_NOTIFY_AT lists end, failure, best, wait; got"),
    ],
)
def test_what_cannot_be_an_address_is_refused_before_anything_is_spent_and_is_not_shown(
    study: Study, home: Home, variables: dict[str, str], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (home.folder / "faces.yaml").write_text("study: faces\ndataset: digits\nsearch_space: digits\n")
    refused = study(home, "run", home.folder / "faces.yaml")
    assert refused.returncode == 2
    assert rule in refused.stderr
    assert SECRET not in refused.stderr
    assert not home.studies.exists()
    with pytest.raises(SpecError):
        Notices.of(NOBODY, print)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def mail_server(received: list[str]) -> Iterator[int]:
    """A real SMTP server that takes one account; its port."""

    class Handler(socketserver.StreamRequestHandler):
        def answer(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.answer("220 here")
            while line := self.rfile.readline().decode().strip():
                command = line[:4].upper()
                if command == "EHLO":
                    self.answer("250-here")
                    self.answer("250 AUTH PLAIN")
                elif command == "AUTH":
                    self.answer("235 fine" if line.endswith("AGFkYQBzZWNyZXQ=") else "535 no")
                elif command == "DATA":
                    self.answer("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                    received.append("\n".join(lines))
                    self.answer("250 fine")
                else:
                    self.answer("221 bye" if command == "QUIT" else "250 fine")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_notice_is_sent_by_mail(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[str] = []
    with mail_server(received) as port:
        monkeypatch.setenv("STUDY_NOTIFY", "mailto:ada@example.org")
        monkeypatch.setenv("STUDY_MAIL_SERVER", f"smtp://ada:secret@127.0.0.1:{port}")
        Notices.of(NOBODY, said.append).send(NOTICE)
        monkeypatch.setenv("STUDY_MAIL_SERVER", f"smtp://ada:wrong@127.0.0.1:{port}")
        Notices.of(NOBODY, said.append).send(NOTICE)
    (mail,) = received
    assert "To: ada@example.org" in mail
    assert "Subject: study faces: finished" in mail
    assert "study faces (ada, on node) finished: well" in mail
    assert said == ["nobody could be told at 127.0.0.1: it answers 535"]
