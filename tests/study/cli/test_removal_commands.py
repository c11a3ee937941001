"""What a person removes or archives is told before, and refused while something needs it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Study
from final_results import FINAL

from study.driver.running import _start, resume_study
from study.errors import StudyError
from study.evaluation.confirmation import Confirmation
from study.home import Home
from study.planning.plan import plan_study
from study.search.record.driver_lock import driving
from study.study_file.study_spec import StudySpec
from trainables.datasets.sealed_test import open_test_split, openings

SPEC = {"study": "begun", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


@pytest.fixture
def begun(home: Home) -> Path:
    """The folder of a study that was interrupted, with 2 MB of checkpoints and 1 MB of weights."""
    folder = plan_study(StudySpec.parse(SPEC), home).folder
    _start(plan_study(StudySpec.parse(SPEC), home), 0)
    for file, num_bytes in {
        "checkpoints/trial-0001/state.pt": 2_000_000,
        "weights/trial-0000.pt": 1_000_000,
    }.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"x" * num_bytes)
    return folder


def test_a_dataset_that_a_study_needs_stays_unless_a_person_insists(
    study: Study, home: Home, begun: Path
) -> None:
    refused = study(home, "data", "rm", "digits")
    assert refused.returncode == 2
    assert "study 'begun' is interrupted and could not go on" in refused.stderr
    assert "study data rm digits --yes" in refused.stderr
    with driving(begun):
        refused = study(home, "data", "rm", "digits", "--yes")
    assert refused.returncode == 2
    assert "is in use: study 'begun' is driven by" in refused.stderr
    assert (home.datasets / "digits" / "manifest.json").exists()
    removed = study(home, "data", "rm", "digits", "--yes")
    assert removed.returncode == 0, removed.stderr
    assert re.search(r"removed dataset 'digits' in .* \(\d+ kB\)", removed.stdout)
    assert not (home.datasets / "digits").exists()
    assert "unknown dataset 'digits'; known: none" in study(home, "data", "rm", "digits").stderr


def test_a_dataset_that_nothing_needs_is_removed_when_it_is_meant(study: Study, home: Home) -> None:
    asked = study(home, "data", "rm", "digits")
    assert asked.returncode == 2
    assert "study data rm would remove dataset 'digits'" in asked.stderr
    assert "add --yes" in asked.stderr
    assert "did you mean 'digits'" in study(home, "data", "rm", "digit").stderr
    (home.datasets / "damaged").mkdir()
    assert study(home, "data", "rm", "damaged", "--yes").returncode == 0


def test_a_test_split_that_was_opened_stays_so_when_its_dataset_is_added_again(
    study: Study, home: Home
) -> None:
    open_test_split(home.datasets / "digits", opened_by="study before")
    assert study(home, "data", "rm", "digits", "--yes").returncode == 0
    assert study(home, "data", "add", "digits").returncode == 0
    assert [one.opened_by for one in openings(home.datasets / "digits")] == ["study before"]
    assert "has been opened 1 time" in study(home, "data", "show", "digits").stdout
    assert {one.name for one in home.datasets.iterdir()} == {"digits"}


def test_an_archived_study_is_out_of_the_list_until_it_is_brought_back(
    study: Study, home: Home, begun: Path
) -> None:
    with driving(begun):
        assert "is driven by" in study(home, "archive", "begun").stderr
    done = study(home, "archive", "begun")
    assert done.returncode == 0, done.stderr
    assert "archived begun: 2.0 MB freed" in done.stdout
    assert "begin again" in done.stdout
    assert not (begun / "checkpoints").exists()
    assert (begun / "weights" / "trial-0000.pt").exists(), "what goes on may need to register it"

    listed = study(home, "list").stdout
    assert "begun" not in listed
    assert "1 archived study is not shown (--all shows them)" in listed
    assert json.loads(study(home, "list", "--json").stdout) == []
    assert "interrupted, archived" in study(home, "list", "--all").stdout
    assert [one["archived"] for one in json.loads(study(home, "list", "--all", "--json").stdout)] == [True]
    assert "study archive begun --undo" in study(home, "show", "begun").stdout
    for command in (("extend", "begun", "--trials", "1"), ("pin", "begun", "batch_size=64")):
        refused = study(home, *command)
        assert refused.returncode == 2
        assert "bring it back first: study archive begun --undo" in refused.stderr
    with pytest.raises(StudyError, match="is archived; bring it back first"):
        resume_study("begun", home=home)
    assert study(home, "archive", "begun").returncode == 2
    assert "study data rm would remove" in study(home, "data", "rm", "digits").stderr, "nothing needs it"

    assert study(home, "archive", "begun", "--undo").returncode == 0
    assert "begun" in study(home, "list").stdout
    assert study(home, "extend", "begun", "--trials", "1").returncode == 0
    assert "is not archived" in study(home, "archive", "begun", "--undo").stderr


def test_a_population_that_goes_on_keeps_the_checkpoints_that_its_trials_begin_with(
    study: Study, home: Home
) -> None:
    tree = {**SPEC, "study": "crowd", "early_stopping": "pbt", "budget": {"trials": 8, "epochs": 10}}
    plan = plan_study(StudySpec.parse(tree), home)
    _start(plan, 0)
    state = plan.folder / "checkpoints" / "trial-0000" / "state.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"x")
    assert study(home, "archive", "crowd").returncode == 0
    assert state.exists()


def test_of_a_finished_study_the_weights_of_what_is_registered_stay(study: Study, home: Home) -> None:
    plan = plan_study(StudySpec.parse({**SPEC, "study": "over"}), home)
    record, folder = _start(plan, 0), plan.folder
    trials = [record.trial(record.ask(plan.space, 0)[0]) for _ in range(2)]  # type: ignore[index]
    confirmation = Confirmation.create(folder, plan.spec.objective)
    confirmation.want(record, trials, 3, plan.space)
    replace(FINAL, candidates=tuple(replace(one, trial=1) for one in FINAL.candidates)).write(folder)
    for place, numbers in ((folder, range(2)), (confirmation.folder, range(6))):
        (place / "weights").mkdir()
        for number in numbers:
            (place / "weights" / f"trial-{number:04d}.pt").write_bytes(b"x" * 1_000_000)
    assert "finished" in study(home, "show", "over").stdout
    done = study(home, "archive", "over")
    assert "6.0 MB freed (weights of what is not registered" in done.stdout
    assert list((folder / "weights").iterdir()) == []
    kept = {file.name for file in (confirmation.folder / "weights").iterdir()}
    assert kept == {"trial-0003.pt", "trial-0004.pt"}, "seeds 1 and 2 of trial 1"
    assert study(home, "archive", "over", "--undo").returncode == 0
    refused = study(home, "extend", "over", "--trials", "1")
    assert refused.returncode == 2
    assert "its weights were freed by study archive or study gc" in refused.stderr
    assert "start_from: [{best: 3, of: digits}]" in refused.stderr


def test_what_studies_and_datasets_take_of_the_disk_is_told(study: Study, home: Home, begun: Path) -> None:
    (listed,) = json.loads(study(home, "list", "--json").stdout)
    assert 3_000_000 < listed["disk_bytes"] < 3_200_000
    assert json.loads(study(home, "show", "begun", "--json").stdout)["disk_bytes"] == listed["disk_bytes"]
    assert "3.0 MB" in study(home, "list", "--all").stdout
    (dataset,) = json.loads(study(home, "data", "list", "--json").stdout)
    files = [file for file in (home.datasets / "digits").rglob("*") if file.is_file()]
    assert dataset["disk_bytes"] == sum(file.stat().st_size for file in files)
    assert " kB" in study(home, "data", "list").stdout


def test_datasets_are_listed_on_80_columns(study: Study, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    listed = re.sub(r"\x1b\[[0-9;]*m", "", study(home, "data", "list").stdout)
    assert max(map(len, listed.splitlines()[:2])) <= 80
    assert "8x8 gray" in listed
    assert "source (--all shows them)" in listed
