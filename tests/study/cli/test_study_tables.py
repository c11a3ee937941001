"""What a person sees of studies on a narrow terminal, and the commands that change a study."""

import json
import re
from pathlib import Path

import pytest
from command_line import Study

from study.driver.running import _start
from study.home import Home
from study.planning.plan import plan_study
from study.search.record.driver_lock import driving
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.edits import pinned, read_edits
from study.study_file.study_spec import StudySpec

SPEC = {"study": "wide", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


@pytest.fixture
def searched(home: Home) -> Path:
    """The folder of a study of three trials: complete, killed by a person, running."""
    plan = plan_study(StudySpec.parse(SPEC), home)
    record = _start(plan, 0)
    for number, end in enumerate(("complete", "killed", None)):
        record.ask(plan.space, 0)
        for epoch in range(1, 5 if end == "complete" else 3):
            value = 0.8612 - 0.1 * number + 0.001 * epoch
            metrics = {"accuracy": value, "macro_f1": value}
            record.report(
                number, EpochReport(epoch=epoch, value=value, metrics=metrics, seconds=1.0, run_id=None)
            )
        if end is not None:
            record.finish(number, end, "killed by ada" if end == "killed" else None)
    return plan.folder


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("narrow")
def test_names_states_and_scores_are_whole_on_80_columns(study: Study, home: Home, searched: Path) -> None:
    shown = study(home, "show", "wide").stdout
    for row in (("trial-0000", "complete", "0.8652"), ("trial-0001", "killed", "0.7632")):
        assert any(all(part in line for part in row) for line in shown.splitlines()), shown
    assert "…" not in shown
    assert "not shown for want of room:" in shown
    assert "(--all shows them)" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    rows = [line for line in plain.splitlines() if re.match(r"(\d|  ) +trial", line)]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 80
    everything = study(home, "show", "wide", "--all").stdout
    assert "not shown" not in everything
    assert "augmentation strength" in everything
    listed = study(home, "list").stdout
    assert any(
        "wide" in line and "interrupted" in line and "0.8652" in line for line in listed.splitlines()
    ), listed


def test_best_epoch_and_epochs_done_are_two_things(study: Study, home: Home, searched: Path) -> None:
    header, first, *_ = study(home, "show", "wide").stdout.split("trial ")[1].splitlines()
    assert "best epoch" in header
    assert "4/4" in first


def test_what_is_pinned_can_be_drawn_again(study: Study, home: Home, searched: Path) -> None:
    assert study(home, "pin", "wide", "batch_size=64", "optimizer=adam").returncode == 0
    assert study(home, "unpin", "wide", "batch_size").returncode == 0
    assert pinned(read_edits(searched)) == {"optimizer": "adam"}
    refused = study(home, "unpin", "wide", "batch_size")
    assert refused.returncode == 2
    assert "wide pins optimizer, and not 'batch_size'" in refused.stderr
    assert study(home, "unpin", "wide").returncode == 0
    assert pinned(read_edits(searched)) == {}


def test_enqueue_is_written_as_pin_is(study: Study, home: Home, searched: Path) -> None:
    done = study(home, "enqueue", "wide", "learning_rate=3e-4", "batch_size=64")
    assert done.returncode == 0, done.stderr
    assert "learning_rate = 0.0003" in done.stdout


def test_replay_without_a_rule_compares_all(study: Study, home: Home, searched: Path) -> None:
    replayed = json.loads(study(home, "replay", "wide", "--json").stdout)
    assert {one["early_stopping"]["rule"] for one in replayed} == {
        "asha",
        "asha_pause",
        "hyperband",
        "median",
        "none",
    }
    shown = study(home, "replay", "wide").stdout
    assert "hyperband" in shown
    assert "kept" in shown
    assert StudyRecord.open(searched).trial(1).state == "killed"


def test_a_removed_study_leaves_its_name_and_no_other_trace_of_its_folder(
    study: Study, home: Home, searched: Path
) -> None:
    refused = study(home, "rm", "wide")
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    with driving(searched):
        assert "is driven by" in study(home, "rm", "wide", "--yes").stderr
    assert searched.exists()
    done = study(home, "rm", "wide", "--yes")
    assert done.returncode == 0, done.stderr
    assert list(home.studies.iterdir()) == []
    assert "unknown study 'wide'" in study(home, "rm", "wide", "--yes").stderr


def test_what_a_death_left_half_made_can_be_removed(study: Study, home: Home) -> None:
    (home.studies / "half").mkdir(parents=True)
    assert study(home, "rm", "half", "--yes").returncode == 0
    assert list(home.studies.iterdir()) == []
