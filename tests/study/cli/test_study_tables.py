"""What a person sees of studies on a narrow terminal, and the commands that change a study."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from command_line import Study

from study.driver.progress import Progress
from study.driver.running import _start
from study.home import Home
from study.planning.plan import plan_study
from study.safe_console import SafeConsole
from study.search.record.driver_lock import driving
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.edits import pinned, read_edits
from study.study_file.study_spec import StudySpec

SPEC = {"study": "wide", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}
TOLD = {
    **SPEC,
    "study": "told",
    "about": "Is a small\nnetwork [enough]?",
    "tags": {"owner": "ada", "purpose": "baseline"},
}


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


@pytest.mark.usefixtures("narrow")
def test_where_the_time_went_fits_80_columns_and_names_what_to_do(
    study: Study, home: Home, searched: Path
) -> None:
    record = StudyRecord.open(searched)
    spans = {"start": 9.0, "forward": 3.0, "backward": 5.0, "validation": 2.0, "weights": 0.5, "idle": 0.5}
    record.note_trial(2, spans={"node-with-a-name-3:81234": spans})
    shown = re.sub(r"\x1b\[[0-9;]*m", "", study(home, "show", "wide", "--timeline").stdout)
    assert max(map(len, shown.splitlines())) <= 80, shown
    assert re.search(r"start +9\.0 +45% +█+", shown)
    assert re.search(r"node-with-a-name-3:81234 +1? +20 +45% .*40% +10%", shown)
    told = " ".join(shown.split())
    assert "Training takes 40% of the time; most of the rest is start, 45% (9 s). A process starts" in told
    assert "Of 6 s of training and validation there is no record, among them all of trial-0000, " in told
    refused = study(home, "show", "wide", "--timeline", "--importance")
    assert (refused.returncode, "leave one out" in refused.stderr) == (2, True)


def test_a_study_of_before_says_that_it_has_no_record_of_its_time(
    study: Study, home: Home, searched: Path
) -> None:
    shown = study(home, "show", "wide", "--timeline").stdout
    assert "No trial of this study has a record of where its time went" in shown
    told = json.loads(study(home, "show", "wide", "--timeline", "--json").stdout)
    assert (told["processes"], told["unrecorded"]) == ([], ["trial-0000", "trial-0001", "trial-0002"])


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


def test_a_colleague_means_it_and_is_noted(
    study: Study, home: Home, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_USER", "ben")
    for words in (("stop",), ("kill-trial", "2"), ("resume",), ("archive",), ("extend", "--trials", "1")):
        refused = study(home, words[0], "wide", *words[1:])
        assert refused.returncode == 2
        assert "and you are ben; if you mean it, add --yes, and your name is noted" in refused.stderr
    assert read_edits(searched) == ()
    assert study(home, "stop", "wide", "--yes").returncode == 0
    assert [(one.kind, one.user) for one in read_edits(searched)] == [("stop", "ben")]


def test_all_studies_of_one_person_are_stopped_and_nobody_elses(
    study: Study, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {}
    for name, user in (("one", "ada"), ("two", "ada"), ("idle", "ada"), ("other", "ben")):
        monkeypatch.setenv("STUDY_USER", user)
        plan = plan_study(StudySpec.parse({**SPEC, "study": name}), home)
        _start(plan, 0)
        folders[name] = plan.folder
    monkeypatch.setenv("STUDY_USER", "ada")
    with driving(folders["one"]), driving(folders["two"]), driving(folders["other"]):
        refused = study(home, "stop", "--all")
        assert refused.returncode == 2
        assert refused.stdout == "one  starting, 0 of 3 trials ended\ntwo  starting, 0 of 3 trials ended\n"
        assert "would stop these 2 studies of ada; add --yes" in refused.stderr
        assert [read_edits(folder) for folder in folders.values()] == [()] * 4

        stopped = study(home, "stop", "--all", "--yes")
        assert "2 stop once their running trials have ended their epochs" in stopped.stdout, stopped
        kinds = {name: [one.kind for one in read_edits(folder)] for name, folder in folders.items()}
        assert kinds == {"one": ["stop"], "two": ["stop"], "idle": [], "other": []}
        assert study(home, "stop", "--all", "--yes").stdout == "no study of ada runs or waits\n"

        assert study(home, "stop", "--all", "--user", "ben", "--yes").returncode == 0
        assert [(one.kind, one.user) for one in read_edits(folders["other"])] == [("stop", "ada")]
    for words in (("stop",), ("stop", "one", "--all"), ("stop", "one", "--user", "ben")):
        refused = study(home, *words)
        assert (refused.returncode, "takes the NAME of a study, or --all" in refused.stderr) == (2, True)


def test_what_a_death_left_half_made_can_be_removed(study: Study, home: Home) -> None:
    (home.studies / "half").mkdir(parents=True)
    assert study(home, "rm", "half", "--yes").returncode == 0
    assert list(home.studies.iterdir()) == []


def test_a_study_is_stopped_extended_and_relieved_of_a_trial(
    study: Study, home: Home, searched: Path
) -> None:
    def edited(*words: str) -> str:
        done = study(home, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "trial 2 of wide ends with its epoch" in edited("kill-trial", "wide", "2")
    assert "wide was given 2 more trial(s)" in edited("extend", "wide", "--trials", "2")
    assert "wide stops once its running trials have ended their epochs" in edited("stop", "wide")
    assert [(one.kind, one.trial, one.trials) for one in read_edits(searched)] == [
        ("kill", 2, 0),
        ("extend", None, 2),
        ("stop", None, 0),
    ]
    for words, message in (
        (("kill-trial", "wide", "0"), "trial 0 of wide is none that goes on; those that do: 2"),
        (("extend", "wide"), "study extend needs --trials or --hours above 0"),
        (("extend", "wide", "--trials", "10000000"), "study extend gives at most"),
    ):
        refused = study(home, *words)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
    assert len(read_edits(searched)) == 3


def test_lines_say_what_ended_and_what_is_best(home: Home, searched: Path) -> None:
    spec, record, shown = StudySpec.parse(SPEC), StudyRecord.open(searched), StringIO()
    with Progress(SafeConsole(file=shown, width=100)).watching(spec, record) as on_change:
        record.report(2, EpochReport(epoch=3, value=0.9, metrics={}, seconds=1.0, run_id=None))
        on_change(2)
        assert shown.getvalue() == "", "it has just begun to be silent"
        record.finish(2, "complete")
        on_change(2)
    (line,) = shown.getvalue().splitlines()
    assert re.search(r"3/3  trial-0002  complete  macro_f1 0\.9000 .* best 0\.9000 \(trial-0002\)", line), (
        line
    )


@pytest.mark.usefixtures("searched")
def test_about_and_tags_are_shown_and_studies_are_found_by_them(study: Study, home: Home) -> None:
    _start(plan_study(StudySpec.parse(TOLD), home), 0)
    shown = study(home, "show", "told").stdout
    assert "Is a small network [enough]?" in shown
    assert "tags: owner=ada, purpose=baseline" in shown
    assert study(home, "show", "told", "--json").stdout.count("network [enough]?") == 1
    listed = study(home, "list").stdout
    assert "owner=ada, purpose=baseline" in listed
    found = json.loads(
        study(home, "list", "--tag", "owner=ada", "--tag", "purpose=baseline", "--json").stdout
    )
    assert [(one["study"], one["tags"], one["about"]) for one in found] == [
        ("told", TOLD["tags"], TOLD["about"])
    ]
    assert "wide" not in study(home, "list", "--tag", "owner=ada").stdout
    assert "no study has owner=bob" in study(home, "list", "--tag", "owner=bob").stdout
    refused = study(home, "list", "--tag", "ada")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "KEY=VALUE" in refused.stderr


@pytest.mark.usefixtures("narrow")
def test_tags_make_room_for_names_states_and_scores(study: Study, home: Home, searched: Path) -> None:
    _start(plan_study(StudySpec.parse(TOLD), home), 0)
    listed = re.sub(r"\x1b\[[0-9;]*m", "", study(home, "list").stdout)
    assert max(map(len, listed.splitlines()[:3])) <= 80
    assert "not shown for want of room" in listed
    assert "about" in listed
    assert "owner=ada" in study(home, "list", "--all").stdout


def test_hours_for_a_study_without_a_limit_of_hours_are_refused(
    study: Study, home: Home, searched: Path
) -> None:
    refused = study(home, "extend", "wide", "--hours", "2", "--trials", "1")
    assert refused.returncode == 2
    assert "wide has no limit of hours (budget.hours in its study file)" in refused.stderr
    assert read_edits(searched) == ()
