"""What killed processes, damaged files and hands leave wrong in a home is told in a line each, and mended."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Done, Study
from final_results import FINAL

from study import names
from study.connections.mlflow_client import connect
from study.doctor.finding import QUIET_SECONDS
from study.driver.running import _open_run, _start
from study.home import Home
from study.planning.plan import plan_study
from study.results.study_result import StudyResult
from study.search.record.driver_lock import driving
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.study_spec import StudySpec

HOLD = """
import sys, time
from pathlib import Path
from study.search.record.driver_lock import driving
with driving(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
PATIENCE_SECONDS = 120


def begun(home: Home, name: str = "s") -> StudyRecord:
    """A study with a complete trial, and one that was cut off; nothing of it is in MLflow."""
    tree = {"study": name, "dataset": "digits", "search_space": "digits"}
    plan = plan_study(StudySpec.parse(tree), home)
    record = _start(plan, 0)
    for _ in range(2):
        assert record.ask(plan.space, 0) is not None
    record.report(0, EpochReport(epoch=1, value=0.5, metrics={}, seconds=1.0, run_id=None))
    record.finish(0, "complete")
    return record


def make_old(*paths: Path) -> None:
    """As if their writers had died long ago."""
    then = time.time() - 2 * QUIET_SECONDS
    for path in paths:
        for one in (path, *(path.rglob("*") if path.is_dir() else ())):
            os.utime(one, (then, then), follow_symlinks=False)


def is_well(study: Study, home: Home) -> Done:
    done = study(home, "doctor")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout == f"nothing is wrong in {home.folder}\n"
    return done


def mended(study: Study, home: Home, *lines: str) -> str:
    """Checks that these findings, and no others, are told, then mended, then gone."""
    told = study(home, "doctor")
    assert told.returncode == 1, told.stderr
    assert [line.partition(";")[0] for line in told.stdout.splitlines()[: len(lines)]] == list(lines)
    assert told.stdout.splitlines()[len(lines)] == ""
    assert "Next: study doctor --mend" in told.stdout
    done = study(home, "doctor", "--mend")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("; mended: ") == len(lines)
    is_well(study, home)
    return told.stdout


def test_a_home_of_a_healthy_study_has_no_findings(study: Study, mlflow_home: Home) -> None:
    begun(mlflow_home)
    is_well(study, mlflow_home)
    assert json.loads(study(mlflow_home, "doctor", "s", "--json").stdout) == []
    unknown = study(mlflow_home, "doctor", "nope")
    assert unknown.returncode == 2
    assert "no study, dataset or model is called 'nope'; known: digits, s" in unknown.stderr


def test_a_home_that_does_not_exist_yet_is_well_and_stays_so(study: Study, tmp_path: Path) -> None:
    is_well(study, Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_runs_that_nobody_drives_are_ended_as_the_record_says(study: Study, mlflow_home: Home) -> None:
    home, record = mlflow_home, begun(mlflow_home)
    plan = plan_study(StudyResult.read(home.studies / "s").spec, home)
    run = _open_run(plan, record, lambda _: None)
    tags = {names.STUDY: "s", names.PARENT: run.run_id}
    runs = {
        number: run.client.create_run(
            run.experiment_id, tags={**tags, **names.trial_tags(number)}
        ).info.run_id
        for number in range(2)
    }
    orphan = run.client.create_run(run.experiment_id, tags={names.STUDY: "gone"}).info.run_id
    somebody = run.client.create_run(run.experiment_id).info.run_id
    run._outbox.close()
    told = mended(
        study,
        home,
        "study s: 3 runs in MLflow RUNNING, and no process drives it",
        "study gone: 1 run in MLflow RUNNING that no study of this home has",
    )
    assert "--mend ends them as the record says; those cut off are KILLED until study resume" in told
    status = {
        one: run.client.get_run(one).info.status for one in (run.run_id, *runs.values(), orphan, somebody)
    }
    assert list(status.values()) == ["KILLED", "FINISHED", "KILLED", "KILLED", "RUNNING"]
    assert run.client.get_run(runs[0]).data.tags[names.STATE] == "complete"
    assert run.client.get_run(runs[1]).data.tags[names.STATE] == "interrupted"


def test_a_study_that_somebody_drives_is_left_alone(study: Study, mlflow_home: Home) -> None:
    home, record = mlflow_home, begun(mlflow_home)
    folder = home.studies / "s"
    run = _open_run(plan_study(StudyResult.read(folder).spec, home), record, lambda _: None)
    run._outbox.close()
    (folder / ".result.json.1234").touch()
    make_old(folder / ".result.json.1234")
    command = [sys.executable, "-c", HOLD, str(folder)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "held\n"
        is_well(study, home)
        assert study(home, "doctor", "--mend").returncode == 0
        assert run.client.get_run(run.run_id).info.status == "RUNNING"
    finally:
        driver.kill()
        driver.communicate(timeout=PATIENCE_SECONDS)
    assert study(home, "doctor").returncode == 1


def test_a_driver_that_comes_meanwhile_is_not_disturbed(mlflow_home: Home) -> None:
    from study.doctor.examination import examine
    from study.errors import StudyError

    begun(mlflow_home)
    left = mlflow_home.studies / "s" / ".result.json.1234"
    left.touch()
    make_old(left)
    (finding,) = examine(mlflow_home)
    assert finding.mend is not None
    with driving(mlflow_home.studies / "s"), pytest.raises(StudyError, match="is driven by"):
        finding.mend()
    assert left.exists()


def test_what_killed_processes_were_writing_is_removed(study: Study, mlflow_home: Home) -> None:
    home = mlflow_home
    begun(home)
    folder, half = home.studies / "s", home.studies / "half"
    half.mkdir()
    (half / "search.journal").touch()
    (folder / "confirmation.unfinished").mkdir()
    (folder / "weights").mkdir()
    (folder / "search.journal.lock").symlink_to("search.journal")
    (home.studies / ".gone.removed").mkdir()
    left = [folder / "weights" / ".trial-0000.pt.4711", folder / ".result.json.12"]
    for one in left:
        one.touch()
    young = folder / ".study.yaml.99"
    make_old(home.studies)
    young.touch()
    kept = home.datasets / ".kept.adding-01234567"
    kept.mkdir()
    (home.folder / "mlflow.db.half-made-20260101-000000").touch()
    told = mended(
        study,
        home,
        "study half: its folder has no study file: it was killed as it began, and nothing of it ran",
        "study gone: its removal was cut off",
        "study s: 4 files that a killed process was writing, such as .result.json.12",
        "this home: 1 half-made database of MLflow, with nothing in them, such as "
        "mlflow.db.half-made-20260101-000000",
        "this home: 1 folder of datasets that a killed process was adding, such as .kept.adding-01234567",
    )
    assert "--mend removes the folder" in told
    assert young.exists()
    assert sorted(one.name for one in home.studies.iterdir()) == ["s"]
    assert not any(one.exists() for one in (*left, kept))


def test_a_folder_of_somebody_else_is_told_and_kept(study: Study, mlflow_home: Home) -> None:
    notes = mlflow_home.studies / "notes"
    notes.mkdir(parents=True)
    (notes / "ideas.txt").touch()
    make_old(notes)
    done = study(mlflow_home, "doctor", "--mend")
    assert done.returncode == 1
    assert "study notes: its folder has no study file, and holds ideas.txt; put " in done.stdout
    assert (notes / "ideas.txt").exists()


def test_weights_and_checkpoints_without_a_trial_are_removed(study: Study, mlflow_home: Home) -> None:
    begun(mlflow_home)
    folder = mlflow_home.studies / "s"
    for name in ("weights/trial-0000.pt", "weights/trial-0007.pt", "checkpoints/trial-0001/state.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "checkpoints" / "trial-0000").mkdir()
    mended(
        study,
        mlflow_home,
        "study s: 2 files of weights or checkpoints without a trial that needs them, such as "
        "weights/trial-0007.pt",
    )
    assert (folder / "weights" / "trial-0000.pt").exists()
    assert (folder / "checkpoints" / "trial-0001" / "state.pt").exists()


def test_a_damaged_result_is_put_aside_and_a_damaged_journal_is_told(study: Study, mlflow_home: Home) -> None:
    home = mlflow_home
    for name in ("result", "journal"):
        begun(home, name)
    (home.studies / "result" / "result.json").write_text("{")
    told = mended(
        study, home, "study result: result.json cannot be read (1 validation error for FinalResult)"
    )
    assert "--mend puts it aside as result.json.damaged; study resume result writes it again" in told
    assert StudyResult.read(home.studies / "result").state == "interrupted"

    journal = home.studies / "journal" / "search.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"\x00\x00\n", *lines[4:]]))
    done = study(home, "doctor", "--mend")
    assert done.returncode == 1
    assert "study journal: search.journal cannot be read (" in done.stdout
    assert f"the first 4 of its {len(lines) + 1} lines are whole; put search.journal back" in done.stdout
    shown = study(home, "show", "journal")
    assert "what can be done: study doctor journal" in shown.stderr
    assert study(home, "doctor", "result").returncode == 0


def test_a_dataset_that_does_not_fit_its_digest_is_told(study: Study, mlflow_home: Home) -> None:
    file = mlflow_home.datasets / "digits" / "train.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = study(mlflow_home, "doctor", "digits", "--mend")
    assert done.returncode == 1
    assert f"dataset digits: {file} has the digest " in done.stdout
    assert "add it again: study data add digits --from SOURCE --replace" in done.stdout
    (mlflow_home.datasets / "digits" / "manifest.json").write_text("{}")
    assert "cannot be read" in study(mlflow_home, "doctor").stdout


def test_a_half_made_database_is_made_anew(study: Study, home: Home) -> None:
    (home.folder / "mlflow.db").touch()
    told = study(home, "doctor")
    assert told.returncode == 1
    assert (
        "mlflow.db is half made: its making was cut off, and nothing is in it; --mend puts it" in told.stdout
    )
    assert (home.folder / "mlflow.db").stat().st_size == 0
    assert study(home, "doctor", "--mend").returncode == 0
    assert len(connect(home.tracking_uri).search_experiments()) == 1
    is_well(study, home)


def test_a_study_whose_driver_died_after_its_result_is_ended_in_mlflow(
    study: Study, mlflow_home: Home
) -> None:
    home, record = mlflow_home, begun(mlflow_home)
    folder = home.studies / "s"
    run = _open_run(plan_study(StudyResult.read(folder).spec, home), record, lambda _: None)
    FINAL.write(folder)
    run._outbox.close()
    mended(study, home, "study s: it has its result, and MLflow was not told of its end")
    ended = run.client.get_run(run.run_id)
    assert ended.info.status == "FINISHED"
    assert ended.data.tags[names.MODEL] == "pets version 7"
    assert "cost/seconds" in ended.data.metrics
    assert StudyResult.read(folder).state == "finished"
