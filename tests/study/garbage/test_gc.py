"""`study gc` tells what nothing needs, deletes it when that is meant, and touches nothing that is needed."""

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Done, Study
from final_results import FINAL
from PIL import Image
from registering_tiny import Registry, trained

from study import names
from study.connections.mlflow_client import connect, prepare_experiment
from study.driver.running import _start
from study.evaluation.confirmation import Confirmation
from study.home import Home
from study.planning.plan import plan_study
from study.registry.version_files import fetch_weights
from study.search.record.driver_lock import driving
from study.study_file.edits import Edit, append_edit
from study.study_file.study_spec import StudySpec
from trainables.datasets.sealed_test import open_test_split

DAYS = 86400.0
SPEC = {"study": "over", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


def make_old(path: Path, days: float = 60) -> None:
    """As if nobody had written to it since then."""
    then = time.time() - days * DAYS
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        os.utime(one, (then, then), follow_symlinks=False)


def big_file(file: Path) -> Path:
    """1 MB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 1_000_000)
    return file


def finished(home: Home, name: str = "over", *, days: float = 60) -> Path:
    """The folder of a study that ended then: versions of seeds 1 and 2 of trial 1 are registered."""
    plan = plan_study(StudySpec.parse({**SPEC, "study": name}), home)
    record, folder = _start(plan, 0), plan.folder
    trials = [record.trial(record.ask(plan.space, 0)[0]) for _ in range(2)]  # type: ignore[index]
    confirmation = Confirmation.create(folder, plan.spec.objective)
    confirmation.want(record, trials, 3, plan.space)
    replace(FINAL, candidates=tuple(replace(one, trial=1) for one in FINAL.candidates)).write(folder)
    record.note(num_edits_at_end=0)
    for place, numbers in ((folder, range(2)), (confirmation.folder, range(6))):
        for number in numbers:
            big_file(place / "weights" / f"trial-{number:04d}.pt")
    big_file(folder / "checkpoints" / "trial-0000" / "state.pt")
    make_old(folder, days)
    return folder


def interrupted(home: Home, name: str = "begun", **more: object) -> Path:
    """The folder of a study that can go on, with a checkpoint and weights."""
    plan = plan_study(StudySpec.parse({**SPEC, "study": name, **more}), home)
    _start(plan, 0)
    big_file(plan.folder / "checkpoints" / "trial-0001" / "state.pt")
    big_file(plan.folder / "weights" / "trial-0000.pt")
    make_old(plan.folder)
    return plan.folder


def contents(folder: Path) -> dict[str, str]:
    """The digest of each file, by its path, but for locks, which come and go."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".lock"
    }


def collected(done: Done) -> dict[str, set[str]]:
    """Where garbage of each kind is, by the command's JSON."""
    found: dict[str, set[str]] = {}
    for row in json.loads(done.stdout):
        found.setdefault(row["kind"], set()).add(row["where"])
    return found


def test_a_dry_run_is_the_default_tells_each_kind_and_deletes_nothing(study: Study, home: Home) -> None:
    folder = finished(home)
    before = contents(home.folder)
    for words in ([], ["--dry-run"]):
        told = study(home, "gc", *words)
        assert (told.returncode, told.stderr) == (0, "")
        assert "weights of finished studies that are not registered: 1 piece, 6.0 MB" in told.stdout
        assert "checkpoints of trials that have ended: 1 piece, 1.0 MB" in told.stdout
        assert "together: 2 pieces, 7.0 MB. Nothing was deleted." in told.stdout
        assert "Next: study gc --older-than 30d --yes" in told.stdout
        assert contents(home.folder) == before
    done = study(home, "gc", "--yes")
    assert "deleted: 2 pieces, 7.0 MB" in done.stdout
    assert list((folder / "weights").iterdir()) == []
    assert not (folder / "checkpoints").exists()
    assert "nothing in" in study(home, "gc").stdout
    assert "finished" in study(home, "show", "over").stdout


def test_what_a_registered_model_is_made_of_stays_and_its_study_says_why_it_cannot_go_on(
    study: Study, home: Home
) -> None:
    folder = finished(home)
    assert study(home, "gc", "--yes").returncode == 0
    kept = {file.name for file in (folder / "confirmation" / "weights").iterdir()}
    assert kept == {"trial-0003.pt", "trial-0004.pt"}, "seeds 1 and 2 of trial 1"
    refused = study(home, "extend", "over", "--trials", "1")
    assert refused.returncode == 2
    assert "its weights were freed by study archive or study gc" in refused.stderr


def test_a_registered_model_loads_and_predicts_after_everything_old_went(
    study: Study, mlflow_home: Home, tmp_path: Path
) -> None:
    registry = Registry(mlflow_home, connect(mlflow_home.tracking_uri))
    registry.add(trained(mlflow_home))
    fetch_weights("models:/digits/1", mlflow_home)
    time.sleep(0.1)
    done = study(mlflow_home, "gc", "--older-than", "0h", "--yes", "--json")
    assert collected(done).keys() == {"copies"}
    Image.new("L", (8, 8)).save(tmp_path / "dark.png")
    predicted = study(mlflow_home, "predict", "digits/1", tmp_path / "dark.png")
    assert predicted.returncode == 0, predicted.stderr
    assert fetch_weights("models:/digits/1", mlflow_home).exists(), "copied again"


def test_a_study_that_runs_or_can_go_on_keeps_all(study: Study, home: Home) -> None:
    begun, over = interrupted(home), finished(home)
    extended = finished(home, "extended")
    append_edit(extended, Edit(kind="extend", trials=2))
    make_old(extended)
    before = contents(begun), contents(extended)
    with driving(over):
        assert collected(study(home, "gc", "--json")) == {}, "somebody drives the one that has ended"
    make_old(over)
    done = study(home, "gc", "--yes", "--json")
    assert collected(done) == {"weights": {"study over"}, "checkpoints": {"study over"}}
    assert (contents(begun), contents(extended)) == before


def test_a_study_with_pinned_dimensions_keeps_all(study: Study, home: Home) -> None:
    folder = finished(home)
    append_edit(folder, Edit(kind="pin", point={"batch_size": 64}))
    make_old(folder)
    before = contents(folder)
    assert collected(study(home, "gc", "--yes", "--json")) == {}
    assert contents(folder) == before
    append_edit(folder, Edit(kind="unpin", dimensions=("batch_size",)))
    make_old(folder)
    assert collected(study(home, "gc", "--json"))["weights"] == {"study over"}


def test_weights_that_the_file_of_a_study_that_goes_on_names_stay(study: Study, home: Home) -> None:
    folder = finished(home)
    named = folder / "weights" / "trial-0000.pt"
    begun = interrupted(home)
    (begun / "study.yaml").write_text(
        (begun / "study.yaml").read_text() + f"about: goes on from {named}\n", encoding="utf-8"
    )
    assert study(home, "gc", "--yes").returncode == 0
    assert [file.name for file in (folder / "weights").iterdir()] == ["trial-0000.pt"]


def test_what_is_younger_than_the_age_stays(study: Study, home: Home) -> None:
    finished(home, days=20)
    assert collected(study(home, "gc", "--json")) == {}
    assert collected(study(home, "gc", "--older-than", "3w", "--json")) == {}
    assert "weights" in collected(study(home, "gc", "--older-than", "19.5d", "--json"))
    assert "weights" in collected(study(home, "gc", "--older-than", "2w", "--json"))


def test_a_dry_run_that_shall_delete_is_refused(study: Study, home: Home) -> None:
    refused = study(home, "gc", "--yes", "--dry-run")
    assert refused.returncode == 2
    assert "takes --yes or --dry-run, not both" in refused.stderr


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1 month", "1e3d", ""])
def test_an_age_that_is_none_is_refused_before_anything_goes(study: Study, home: Home, age: str) -> None:
    finished(home)
    before = contents(home.folder)
    refused = study(home, "gc", f"--older-than={age}", "--yes")
    assert refused.returncode == 2
    assert "such as 12h, 30d or 2w, got" in refused.stderr
    assert contents(home.folder) == before


def test_the_record_of_the_test_split_stays(study: Study, home: Home) -> None:
    folder = finished(home)
    open_test_split(home.datasets / "digits", opened_by="study over", measurement="trial-0001")
    big_file(folder / "measured" / "trial-0001-seeds-1-2" / "single" / "evidence.npz")
    make_old(home.folder)
    before = contents(home.datasets), contents(folder / "measured"), (folder / "result.json").read_bytes()
    assert study(home, "gc", "--yes").returncode == 0
    after = contents(home.datasets), contents(folder / "measured"), (folder / "result.json").read_bytes()
    assert after == before


def test_copies_of_registered_models_go_unless_a_study_that_goes_on_starts_from_them(
    study: Study, home: Home
) -> None:
    for name in ("digits-1-m-aa", "digits-2-m-bb", "faces-1-m-cc", "fresh-1-m-dd"):
        big_file(home.fetched_models / name / "weights.pt")
    make_old(home.fetched_models)
    os.utime(home.fetched_models / "fresh-1-m-dd")  # as by who uses it
    begun = interrupted(home)
    (begun / "study.yaml").write_text(
        (begun / "study.yaml").read_text() + "about: 'from models:/faces@champion'\n", encoding="utf-8"
    )
    done = study(home, "gc", "--yes", "--json")
    assert collected(done) == {"copies": {"fetched_models/digits-1-m-aa", "fetched_models/digits-2-m-bb"}}
    assert {one.name for one in home.fetched_models.iterdir()} == {"faces-1-m-cc", "fresh-1-m-dd"}


def test_what_killed_commands_left_goes_and_what_they_may_take_up_again_stays(
    study: Study, home: Home
) -> None:
    left = home.datasets / ".pets.adding-00000000"
    young = home.datasets / ".pets.adding-11111111"
    removed = home.studies / ".gone.removed"
    for folder in (left, young, removed):
        big_file(folder / "train.arrow")
    make_old(left)
    make_old(removed)
    done = study(home, "gc", "--yes", "--json")
    assert collected(done) == {"left behind": {"datasets/.pets.adding-00000000", "studies/.gone.removed"}}
    assert not left.exists()
    assert not removed.exists()
    assert young.exists()


def test_mlflow_s_files_of_pruned_and_deleted_runs_go_and_all_others_stay(
    study: Study, mlflow_home: Home
) -> None:
    client = connect(mlflow_home.tracking_uri)
    experiment = prepare_experiment(client, mlflow_home, "digits")
    parents = {}
    for name, status in (("over", "FINISHED"), ("elsewhere", "RUNNING")):
        parents[name] = client.create_run(experiment, tags={names.STUDY: name}, run_name=name).info.run_id
        client.set_terminated(parents[name], status)

    def run(name: str, of: str, state: str, days: float = 60) -> str:
        tags = {names.STUDY: of, names.PARENT: parents[of], names.STATE: state}
        run_id: str = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        client.log_text(run_id, "x" * 1000, "recipe.yaml")
        client.log_text(run_id, "x" * 1000, "pictures/curves.txt")
        client.set_terminated(run_id, "KILLED", round((time.time() - days * DAYS) * 1000))
        return run_id

    runs = {
        "pruned": run("pruned", "over", "pruned"),
        "deleted": run("deleted", "over", "complete"),
        "complete": run("complete", "over", "complete"),
        "young": run("young", "over", "pruned", days=3),
        "of a study that runs": run("runs", "elsewhere", "pruned"),
        "registered": run("registered", "over", "pruned"),
    }
    client.delete_run(runs["deleted"])
    client.create_registered_model("digits")
    source = client.get_run(runs["registered"]).info.artifact_uri
    client.create_model_version("digits", source, run_id=runs["registered"], tags={names.STUDY: "over"})

    def num_files(name: str) -> int:
        return len(client.list_artifacts(runs[name])) if name != "deleted" else -1

    told = study(mlflow_home, "gc")
    assert "files of runs that were pruned, or deleted: 2 pieces, 4 kB" in told.stdout, told
    assert num_files("pruned") == 2
    done = study(mlflow_home, "gc", "--yes", "--json")
    assert collected(done) == {"artifacts": {"run over/pruned", "run over/deleted"}}
    assert num_files("pruned") == 0
    assert not list(mlflow_home.artifacts.rglob(f"{runs['deleted']}/artifacts/*"))
    kept = [name for name in runs if name not in ("pruned", "deleted")]
    assert [num_files(name) for name in kept] == [2] * len(kept)
    assert client.get_run(runs["pruned"]).data.tags[names.STATE] == "pruned", "the run itself stays"


def test_what_cannot_be_deleted_is_told_and_hides_nothing_else(
    study: Study, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(home)
    monkeypatch.setenv("STUDY_CACHE_GB", "none")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    done = study(home, "gc", "--yes")
    assert done.returncode == 1
    assert "deleted: 2 pieces, 7.0 MB" in done.stdout
    assert (
        "runs that were pruned, or deleted, not looked at: MLflow at http://127.0.0.1:1 does not answer"
        in done.stdout
    )


def test_it_reads_well_on_80_columns(study: Study, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        finished(home, f"a-study-with-a-long-name-{number}")
    monkeypatch.setenv("COLUMNS", "80")
    told = study(home, "gc").stdout
    assert max(map(len, told.splitlines())) <= 80
    assert "… and 2 more (--all shows them)" in told
    assert told.count("study a-study-with-a-long-name") == 10
    assert study(home, "gc", "--all").stdout.count("study a-study-with-a-long-name") == 14
