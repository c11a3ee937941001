"""The journal file: what Optuna's own journal writes, read and written by ours, and whole after any death."""

from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from tabulated import CONDITIONAL, make_record, run_trials

from study.search.record.journal import JournalFile
from study.search.record.study_record import StudyRecord

LOGS = [{"op_code": number, "worker_id": "w", "user_attr": {"optimizer": "adamw"}} for number in range(5)]


def test_it_reads_what_it_wrote_from_any_line_on(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path / "j")
    file.append_logs(LOGS[:3])
    assert list(file.read_logs(0)) == LOGS[:3]
    file.append_logs(LOGS[3:])
    assert list(file.read_logs(3)) == LOGS[3:]
    assert list(file.read_logs(1)) == LOGS[1:]
    assert list(JournalFile.create(tmp_path / "j").read_logs(4)) == LOGS[4:]


def test_optunas_own_journal_and_ours_understand_each_other(tmp_path: Path) -> None:
    ours, optunas = JournalFile.create(tmp_path / "j"), JournalFileBackend(str(tmp_path / "j"))
    ours.append_logs(LOGS[:2])
    optunas.append_logs(LOGS[2:])
    assert list(ours.read_logs(0)) == list(optunas.read_logs(0)) == LOGS


@pytest.mark.parametrize("torn", [b"{", b'{"op_code":7,"worker_id":"w"}'])
def test_a_torn_line_is_passed_over_and_cut_away_by_the_next(tmp_path: Path, torn: bytes) -> None:
    file = JournalFile.create(tmp_path / "j")
    file.append_logs(LOGS[:1])
    with (tmp_path / "j").open("ab") as opened:
        opened.write(torn)
    assert list(file.read_logs(0)) == LOGS[:1]
    file.append_logs(LOGS[1:])
    assert list(JournalFile.create(tmp_path / "j").read_logs(0)) == LOGS


def test_a_line_that_is_no_json_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"nonsense\n")
    with pytest.raises(ValueError, match="Expecting value"):
        list(JournalFile.create(tmp_path / "j").read_logs(0))


def test_equal_texts_are_one_object(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path / "j")
    file.append_logs(LOGS)
    attributes = [log["user_attr"] for log in file.read_logs(0)]
    assert len({id(attribute["optimizer"]) for attribute in attributes}) == 1
    assert len({id(key) for attribute in attributes for key in attribute}) == 1


def test_optuna_replays_a_record_of_ours(tmp_path: Path) -> None:
    run_trials(make_record(tmp_path), CONDITIONAL, 12)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "search.journal")))
    (study,) = storage.get_all_studies()
    assert study.directions == [StudyDirection.MAXIMIZE]
    theirs = storage.get_all_trials(study._study_id)
    assert [trial.user_attrs["point"] for trial in theirs] == [
        trial.point for trial in StudyRecord.open(tmp_path).trials
    ]
