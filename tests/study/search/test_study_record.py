"""What a record tells of its trials, also when it is opened again, by another process, or lies in a
database.
"""

import time
from pathlib import Path

import pytest
from tabulated import CONDITIONAL, end_trial, make_record, run_trials

from search_spaces.named import find_space
from study.errors import StudyError
from study.search.record import storage
from study.search.record.storage import check_name_is_free_in
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.yaml_file import write_yaml


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    return make_record(tmp_path)


def begin(record: StudyRecord, seed: int = 0) -> int:
    asked = record.ask(CONDITIONAL, seed)
    assert asked is not None
    return asked[0]


def test_a_trial_is_worth_its_best_epoch(record: StudyRecord) -> None:
    number, point = record.ask(CONDITIONAL, seed=0) or pytest.fail("there is room")
    end_trial(record, number, 0.1, 0.7, 0.5)
    trial = record.trial(number)
    assert (trial.value, trial.best_epoch, trial.metrics["log_loss"]) == (0.7, 2, pytest.approx(0.3))
    assert (trial.state, trial.seconds, trial.point, trial.run_id) == ("complete", 3.0, point, "r")


def test_an_epoch_reported_again_by_a_trial_that_started_over_counts_once(record: StudyRecord) -> None:
    number = begin(record)
    report_only(record, number, 0.1, 0.7)
    report_only(record, number, 0.1, 0.7, 0.8)
    assert record.trial(number).seconds == 3.0


def report_only(record: StudyRecord, number: int, *values: float) -> None:
    for epoch, value in enumerate(values, start=1):
        record.report(number, EpochReport(epoch=epoch, value=value, metrics={}, seconds=1.0, run_id=None))


def test_the_ends_of_trials_are_told_apart(record: StudyRecord, tmp_path: Path) -> None:
    for value, state in ((0.5, "complete"), (0.9, "pruned"), (0.1, "failed"), (0.95, "infeasible")):
        number = begin(record)
        end_trial(record, number, value, state=state)  # type: ignore[arg-type]
        record.finish(number, "complete")  # a second end changes nothing
    begin(record)
    for seen in (record, StudyRecord.open(tmp_path)):
        assert [trial.state for trial in seen.trials] == [
            "complete",
            "pruned",
            "failed",
            "infeasible",
            "running",
        ]
        assert [trial.reason for trial in seen.trials] == [None, "because", "because", "because", None]
        assert [trial.has_ended for trial in seen.trials] == [True] * 4 + [False]
        best = seen.best()
        assert best is not None
        assert best.number == 0, "a complete trial comes before one that was stopped early"
        assert [trial.number for trial in seen.leaderboard()] == [1, 0, 2, 3], (
            "what cannot be trained comes last"
        )


def test_where_none_is_complete_the_best_stopped_trial_wins(record: StudyRecord) -> None:
    assert record.best() is None
    numbers = [begin(record) for _ in range(2)]
    for number, value in zip(numbers, (0.3, 0.4), strict=True):
        end_trial(record, number, value, state="pruned")
    best = record.best()
    assert best is not None
    assert best.number == 1


def test_points_put_in_front_come_first_and_keep_what_the_space_lacks(record: StudyRecord) -> None:
    point = {"optimizer": "sgd", "learning_rate": 0.05, "dropout": 0.1, "freeze_depth": 1, "step_epochs": 5}
    record.enqueue(CONDITIONAL, point, origin="a-recipe")
    record.enqueue(CONDITIONAL, point, origin="the same again")
    assert record.trials[0].state == "waiting"
    assert record.ask(CONDITIONAL, seed=0) == (0, point)
    assert record.ask(CONDITIONAL, seed=0) == (1, point), "what a person puts in front is never thrown away"
    assert record.trial(0).origin == "a-recipe"
    _, drawn = record.ask(CONDITIONAL, seed=0) or pytest.fail("there is room")
    assert "step_epochs" not in drawn


@pytest.mark.parametrize("rule", ["nsga2", "cma_es"])
def test_a_sampler_with_generations_counts_points_put_in_front(tmp_path: Path, rule: str) -> None:
    """Else it would not learn from them."""
    record = make_record(tmp_path, rule=rule)
    run_trials(record, CONDITIONAL, 2)
    record.enqueue(
        CONDITIONAL,
        {"optimizer": "sgd", "learning_rate": 0.05, "dropout": 0.1, "freeze_depth": 1},
        origin="a-recipe",
    )
    run_trials(record, CONDITIONAL, 1)
    assert any("generation" in key for key in record._trials.frozen(2).system_attrs)


def test_what_is_noted_of_a_trial_survives_reopening(record: StudyRecord, tmp_path: Path) -> None:
    number = begin(record)
    record.pause(number)
    assert (record.trial(number).state, record.trial(number).has_ended) == ("paused", False)
    assert record.note_retry(number, "its process died") == 1
    assert StudyRecord.open(tmp_path).note_retry(number, "again") == 2
    again = StudyRecord.open(tmp_path)
    again.note_trial(number, micro_batch=16, device="cuda:0")
    again.note_trial(number, micro_batch=8)
    again.note_measures(number, {"parameters_million": 11.2})
    again.note_measures(number, {"latency_ms": 3.5})
    trial = StudyRecord.open(tmp_path).trial(number)
    assert trial.state == "paused"
    assert trial.retries == ("its process died", "again")
    assert trial.facts == {"micro_batch": 8, "device": "cuda:0"}
    assert trial.measures == {"parameters_million": 11.2, "latency_ms": 3.5}
    again.unpause(number)
    assert again.trial(number).state == "running"
    end_trial(again, number, 0.5)
    assert again.trial(number).facts == trial.facts


def test_another_process_sees_what_the_driver_writes(record: StudyRecord, tmp_path: Path) -> None:
    reader = StudyRecord.open(tmp_path)
    assert reader.trials == ()
    number = begin(record)
    assert reader.trial(number).state == "running"
    report_only(record, number, 0.5)
    assert [trial.value for trial in reader.leaderboard()] == [0.5]
    end_trial(record, number, 0.5, 0.6)
    assert [trial.state for trial in reader.trials] == ["complete"]
    record.note_runs({number: "late"})
    assert StudyRecord.open(tmp_path).trial(number).run_id == "r", "its own word comes first"


def test_a_run_that_became_known_after_the_end(record: StudyRecord, tmp_path: Path) -> None:
    number = begin(record)
    report_only(record, number, 0.5)
    record.finish(number, "complete")
    record.note_runs({number: "late"})
    for seen in (record, StudyRecord.open(tmp_path)):
        assert seen.trial(number).run_id == "late"
        assert [trial.run_id for trial in seen.leaderboard()] == ["late"]


def test_the_board_kept_up_is_the_one_made_anew(record: StudyRecord, tmp_path: Path) -> None:
    run_trials(record, CONDITIONAL, 25)
    assert record.leaderboard() == StudyRecord.open(tmp_path).leaderboard()
    valued = [trial for trial in record.trials if trial.value is not None]
    expected = sorted(valued, key=lambda trial: (not trial.is_feasible, -(trial.value or 0.0), trial.number))
    assert list(record.leaderboard()) == expected
    assert record.trials == StudyRecord.open(tmp_path).trials


def test_many_trials_cost_no_more_each_than_few(record: StudyRecord) -> None:
    """Storage calls, which are what costs, are counted in place of seconds."""
    calls = CountingCalls(record._trials._storage._inner)
    record._trials._storage._inner = calls
    counts = []
    for _ in range(3):
        run_trials(record, find_space("digits"), 8)
        record.leaderboard(), record.trials, record.best()
        counts.append(calls.take())
    assert abs(counts[2] - counts[1]) <= 5
    assert calls.num_listings == 0, "no call reads all trials"


class CountingCalls:
    """Counts the calls of a storage."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self._num_calls = self.num_listings = 0

    def __getattr__(self, name: str) -> object:
        self._num_calls += 1
        self.num_listings += name == "get_all_trials"
        return getattr(self._inner, name)

    def take(self) -> int:
        """Calls since the last time."""
        num_calls, self._num_calls = self._num_calls, 0
        return num_calls


@pytest.mark.parametrize("server", ["sqlite", "postgresql"])
def test_a_study_in_a_database(tmp_path: Path, server: str, request: pytest.FixtureRequest) -> None:
    url = (
        f"sqlite:///{tmp_path / 'search.db'}"
        if server == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    in_file = run_trials(make_record(tmp_path / "file"), CONDITIONAL, 5)
    first = run_trials(make_record(tmp_path / "study", storage_url=url), CONDITIONAL, 3)
    write_yaml(tmp_path / "study" / "study.yaml", {"search_storage": url})
    reopened = StudyRecord.open(tmp_path / "study")
    assert first + run_trials(reopened, CONDITIONAL, 2) == in_file, (
        "a study does the same wherever its state lies"
    )
    assert reopened.leaderboard() == StudyRecord.open(tmp_path / "study", storage_url=url).leaderboard()
    assert not (tmp_path / "study" / "search.journal").exists()
    with pytest.raises(StudyError, match="holds a study named 's' already; choose another name"):
        make_record(tmp_path / "other", storage_url=url)
    with pytest.raises(StudyError, match="holds a study named 's' already"):
        check_name_is_free_in(url, "s")
    check_name_is_free_in(url, "free")


def test_a_database_file_is_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_record(tmp_path / "study", storage_url="sqlite:///search.db")
    monkeypatch.chdir("/")
    assert StudyRecord.open(tmp_path / "study").trials == ()


def test_the_folder_keeps_no_password_but_the_study_file_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg2://me:secret@db.invalid/optuna?sslpassword=hush"
    asked: list[str] = []
    file = f"sqlite:///{tmp_path / 'stands_in.db'}"
    open_database(monkeypatch, asked, file)
    make_record(tmp_path / "study", storage_url=url)
    noted = (tmp_path / "study" / "search.json").read_text()
    assert "secret" not in noted
    assert "hush" not in noted
    StudyRecord.open(tmp_path / "study")
    write_yaml(tmp_path / "study" / "study.yaml", {"search_storage": url})
    StudyRecord.open(tmp_path / "study")
    assert asked == [url, "postgresql+psycopg2://me@db.invalid/optuna?sslpassword=", url]


def open_database(monkeypatch: pytest.MonkeyPatch, asked: list[str], file: str) -> None:
    """Puts a SQLite file in the place of every server, and notes what was asked for."""
    real = storage._database

    def stands_in(url: str) -> object:
        asked.append(url)
        return real(file)

    monkeypatch.setattr(storage, "_database", stands_in)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql+sqlite3://me:secret@127.0.0.1:1/x",
            r"'postgresql\+sqlite3://me:\*\*\*@127.0.0.1:1/x' does not answer .*correct search",
        ),
        ("postgresql+nothere://me:secret@127.0.0.1/x", "needs the Python package of 'nothere'"),
        ("sqlite:////nowhere/at/all/x.db", "/nowhere/at/all is not a folder"),
    ],
)
def test_a_database_that_cannot_be_used(tmp_path: Path, url: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(StudyError, match=message) as caught:
        make_record(tmp_path, storage_url=url)
    assert "secret" not in str(caught.value)
    assert time.monotonic() - start < 5


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database, and long enough to be seen as such" * 10)
    with pytest.raises(
        StudyError, match=r"must be a database of SQLite, and is not .*file is not a database"
    ):
        make_record(tmp_path / "study", storage_url=f"sqlite:///{tmp_path / 'x.db'}")


def test_a_study_that_the_database_lost(tmp_path: Path) -> None:
    make_record(tmp_path, storage_url=f"sqlite:///{tmp_path / 'x.db'}")
    (tmp_path / "x.db").unlink()
    with pytest.raises(StudyError, match="does not hold the study 's' any more"):
        StudyRecord.open(tmp_path)


def test_there_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StudyRecord.open(tmp_path)
