"""A command that is killed at a named moment and repeated comes to the same end as one left alone."""

import shutil
from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from named_moments import MAKE_DATABASE, NAME, Moment, ended, search_and_confirm, state

from study.connections.mlflow_client import connect
from study.doctor.examination import examine
from study.home import Home

MEASURING, SEALED = "study.evaluation.test_split", "trainables.datasets.sealed_test"
REGISTERING, CLIENT = "study.registry.registration", "mlflow.tracking.client:MlflowClient"
LOG, PROMOTION = "study.registry.decision_log", "study.registry.promotion"
FINALISING = [
    Moment(f"{MEASURING}:open_test_split", "before"),
    Moment(f"{SEALED}:_record", "before"),
    Moment(f"{SEALED}:_record", "after"),
    Moment(f"{MEASURING}:open_test_split", "after"),
    Moment(f"{MEASURING}:_measured", "after"),
    Moment(f"{MEASURING}:_measured", "after", 2),
    Moment("study.evaluation.test_evidence:TestEvidence.write", "after"),
    Moment(f"{MEASURING}:_write", "after"),
    Moment(f"{REGISTERING}:_log", "before"),
    Moment(f"{REGISTERING}:_log", "after"),
    Moment(f"{CLIENT}.create_model_version", "after"),
    Moment(f"{REGISTERING}:_log", "after", 2),
    Moment(f"{CLIENT}.set_registered_model_alias", "before", 2),
    Moment("study.driver.finalising:log_final", "before"),
    Moment("study.driver.finalising:log_final", "after"),
    Moment("study.evaluation.final_result:FinalResult.write", "after"),
    Moment("study.tracking.study_run:StudyRun.end", "after"),
]
PROMOTING = [
    Moment(f"{LOG}:_open_run", "before"),
    Moment(f"{CLIENT}.create_experiment", "before"),
    Moment(f"{CLIENT}.create_experiment", "after"),
    Moment(f"{LOG}:DecisionLog.append", "before"),
    Moment(f"{LOG}:DecisionLog.append", "after"),
    Moment(f"{PROMOTION}:set_aliases", "before", 2),
    Moment(f"{CLIENT}.set_registered_model_alias", "before"),
    Moment(f"{CLIENT}.set_registered_model_alias", "after", 2),
]
BEGINNING = [
    Moment("study.driver.running:_start", "before"),
    Moment("study.search.record.storage:_journal", "after"),
    Moment("study.search.record.study_record:StudyRecord.note", "before"),
    Moment("study.driver.running:write_yaml", "before"),
    Moment("study.driver.running:_start", "after"),
]
BIRTH = [
    Moment("study.connections.mlflow_database:_make", "before"),
    Moment("mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore.__init__", "after"),
    Moment("study.connections.mlflow_database:_make", "after"),
]


@pytest.fixture(scope="module")
def searched(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A study of which measuring and registering are left; it is not written to."""
    home = fresh_homes.make(tmp_path_factory.mktemp("searched"), with_digits=True)
    search_and_confirm(home)
    return home


@pytest.fixture(scope="module")
def left_alone(searched: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same after `study resume`; it is not written to."""
    home = copied(searched, tmp_path_factory.mktemp("alone"))
    assert ended(home, ("resume", NAME)) == 0, said(home)
    assert state(home)["state"] == "finished"
    return home


@pytest.fixture(scope="module")
def promoted(left_alone: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same after `study promote`; it is not written to."""
    home = copied(left_alone, tmp_path_factory.mktemp("promoted"))
    assert ended(home, ("promote", "digits")) == 0, said(home)
    return home


def copied(home: Home, folder: Path) -> Home:
    """A home with its own copy of everything; MLflow's files of registered models stay where they are."""
    shutil.copytree(home.folder, folder / "home")
    return Home(folder / "home")


def said(home: Home) -> str:
    return (home.folder / "said.txt").read_text()


def slow_unless(quick: set[int], moments: list[Moment]) -> list[object]:
    """A command takes seconds to import it all, so some of the moments are enough for the ordinary tests."""
    marks = {True: (), False: (pytest.mark.slow,)}
    return [
        pytest.param(moment, id=str(moment), marks=marks[number in quick])
        for number, moment in enumerate(moments)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("moment", FINALISING, ids=str)
def test_opening_measuring_and_registering(
    searched: Home, left_alone: Home, tmp_path: Path, moment: Moment
) -> None:
    home = copied(searched, tmp_path)
    assert ended(home, ("resume", NAME), moment) == -9, "the moment never came"
    assert ended(home, ("resume", NAME)) == 0, said(home)
    assert state(home) == state(left_alone)
    assert "Traceback" not in said(home)
    assert list(examine(home)) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", PROMOTING, ids=str)
def test_promoting(left_alone: Home, promoted: Home, tmp_path: Path, moment: Moment) -> None:
    home = copied(left_alone, tmp_path)
    assert ended(home, ("promote", "digits"), moment) == -9, "the moment never came"
    code = ended(home, ("promote", "digits"))
    assert code == 0 or "and is the champion" in said(home)
    assert state(home) == state(promoted)
    assert "Traceback" not in said(home)
    assert list(examine(home)) == []


@pytest.mark.parametrize("moment", slow_unless({2, 3}, BEGINNING))
def test_beginning(fresh_homes: FreshHomes, tmp_path: Path, moment: Moment) -> None:
    home, file = fresh_homes.make(tmp_path / "home", with_digits=True), tmp_path / "s.yaml"
    file.write_text("study: s\ndataset: digits\nsearch_space: digits\nstart_from: [{batch_size: 64}]\n")
    assert ended(home, ("run", str(file)), moment) == -9, "the moment never came"
    is_begun = (home.studies / NAME / "study.yaml").exists()
    assert is_begun == (moment == BEGINNING[-1])
    code = ended(home, ("run", str(file)))
    assert code == (2 if is_begun else 0), said(home)
    assert "Traceback" not in said(home)
    found = state(home)
    assert (found["state"], [one for one, _ in found["trials"]]) == ("interrupted", ["waiting"])
    assert list(examine(home)) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_extending(left_alone: Home, tmp_path: Path, when: str) -> None:
    home = copied(left_alone, tmp_path)
    moment = Moment("study.cli.commands.study_edits:_append", when)
    assert ended(home, ("extend", NAME, "--trials", "2"), moment) == -9
    if when == "before":
        assert state(home) == state(left_alone)
        assert ended(home, ("extend", NAME, "--trials", "2")) == 0
    found = state(home)
    assert (found["state"], found["edits"]) == ("interrupted", [("extend", 2)])


def test_an_edit_that_was_torn_off_hides_no_later_one(left_alone: Home, tmp_path: Path) -> None:
    home = copied(left_alone, tmp_path)
    (home.studies / NAME / "edits.jsonl").write_text('{"kind": "ext')
    (home.datasets / "digits" / "openings.jsonl").open("a").write('{"time": "20')
    assert ended(home, ("extend", NAME, "--trials", "2")) == 0, said(home)
    assert state(home)["edits"] == [("extend", 2)]
    assert ended(home, ("data", "show", "digits")) == 0, said(home)


@pytest.mark.parametrize("moment", slow_unless({1}, BIRTH))
def test_the_birth_of_a_home(tmp_path: Path, moment: Moment) -> None:
    home = Home(tmp_path)
    assert ended(home, MAKE_DATABASE, moment) == -9
    assert ended(home, MAKE_DATABASE) == 0, said(home)
    assert len(connect(home.tracking_uri).search_experiments()) == 1
    for finding in examine(home):
        assert finding.mend is not None
        finding.mend()
    assert list(examine(home)) == []
