"""One process at a time drives a study: a second is told who does, and a dead one keeps nobody out."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Barrier

import pytest
from command_line import Study

from study.driver.running import _start
from study.errors import SpecError, StudyError
from study.home import Home
from study.planning.plan import plan_study
from study.results.study_result import StudyResult
from study.search.record.driver_lock import LEASE_SECONDS, LOCK_FILE, Driver, driver_of, driving
from study.study_file.edits import Edit, append_edit
from study.study_file.study_spec import StudySpec

PATIENCE_SECONDS = 120
HOLD = """
import sys, time
from pathlib import Path
from study.search.record.driver_lock import driving
with driving(Path(sys.argv[1])) as lock:
    lock.note("running")
    print("held", flush=True)
    time.sleep(600)
"""

LOOK = """
import sys
from pathlib import Path
from study.search.record.driver_lock import driver_of
print("looking", flush=True)
while True:
    driver_of(Path(sys.argv[1]))
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that drives the study in `folder`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture
def begun(home: Home) -> StudyResult:
    """A study that was begun, of which nothing ran yet."""
    plan = plan_study(StudySpec.parse({"study": "s", "dataset": "digits", "search_space": "digits"}), home)
    _start(plan, 0)
    return StudyResult.read(plan.folder)


def test_of_two_who_begin_a_name_at_once_one_is_told_that_it_is_taken(home: Home) -> None:
    plan = plan_study(StudySpec.parse({"study": "s", "dataset": "digits", "search_space": "digits"}), home)
    together = Barrier(2)

    def begin() -> str | None:
        together.wait()
        try:
            _start(plan, 0)
        except SpecError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(2) as people:
        told = [one for one in people.map(lambda _: begin(), range(2)) if one is not None]
    assert len(told) == 1
    assert "a study named 's' exists" in told[0]
    assert StudyResult.read(plan.folder).trials == ()


def test_a_second_driver_is_told_who_the_first_is_and_a_dead_one_keeps_nobody_out(
    study: Study, home: Home, begun: StudyResult
) -> None:
    process = hold(begun.folder)
    try:
        done = study(home, "resume", "s")
        assert done.returncode == 2
        assert f"study 's' is driven by {begun_by()} (process {process.pid}) since " in done.stderr
        assert "look at it: study show s; stop it: study stop s" in done.stderr
        shown = study(home, "show", "s").stdout
        assert f"running by {begun_by()} (process {process.pid})" in shown
        assert "study resume" not in shown
        (listed,) = json.loads(study(home, "list", "--json").stdout)
        assert (listed["state"], listed["driver"]["process"]) == ("running", process.pid)
    finally:
        end(process)
    assert StudyResult.read(begun.folder).state == "interrupted"
    assert "Next: study resume s" in study(home, "show", "s").stdout
    with driving(begun.folder):
        assert StudyResult.read(begun.folder).state == "starting"


def begun_by() -> str:
    here = driver_here()
    return f"{here.user} on {here.host}"


def driver_here() -> Driver:
    import socket

    from study.user import current_user

    return Driver(host=socket.gethostname(), process=os.getpid(), user=current_user(), since=time.time())


def test_one_process_drives_a_study_once(tmp_path: Path) -> None:
    with driving(tmp_path), pytest.raises(StudyError, match=f"process {os.getpid()}"), driving(tmp_path):
        pass
    assert driver_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("age", "is_alive"), [(1.0, True), (2 * LEASE_SECONDS, False)])
def test_a_driver_on_another_machine_counts_by_its_sign_of_life(
    tmp_path: Path, age: float, is_alive: bool
) -> None:
    """Its lock may not reach this machine; it is not held here."""
    file = tmp_path / LOCK_FILE
    elsewhere = {**asdict(driver_here()), "host": "node-7"}
    file.write_text(json.dumps(elsewhere))
    os.utime(file, (time.time() - age, time.time() - age))
    found = driver_of(tmp_path)
    assert (found is not None and found.host == "node-7") is is_alive
    if is_alive:
        with pytest.raises(StudyError, match="on node-7"), driving(tmp_path):
            pass
    else:
        with driving(tmp_path):
            assert driver_of(tmp_path) is not None


def test_those_who_look_keep_no_driver_out(tmp_path: Path) -> None:
    looking = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                LOOK,
                str(tmp_path),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in looking:
            assert process.stdout is not None
            assert process.stdout.readline() == "looking\n"
        for _ in range(20):
            with driving(tmp_path):
                pass
    finally:
        for process in looking:
            end(process)


def test_what_somebody_stopped_is_not_interrupted(begun: StudyResult) -> None:
    assert begun.state == "interrupted"
    append_edit(begun.folder, Edit(kind="stop"))
    assert StudyResult.read(begun.folder).state == "stopped"
    append_edit(begun.folder, Edit(kind="resume"))
    assert StudyResult.read(begun.folder).state == "interrupted"


def test_a_study_that_cannot_be_read_hides_no_other(study: Study, home: Home, begun: StudyResult) -> None:
    broken = home.studies / "broken"
    broken.mkdir()
    (broken / "study.yaml").write_text(
        (begun.folder / "study.yaml").read_text().replace("study: s", "study: b")
    )
    (broken / "search.journal").write_bytes(b"\x00nothing that Optuna wrote\n")
    done = study(home, "list")
    assert done.returncode == 0
    assert "interrupted" in done.stdout
    assert f"study 'broken' in {broken} cannot be read" in done.stdout.replace("\n", " ")
    listed = {row["study"]: row["state"] for row in json.loads(study(home, "list", "--json").stdout)}
    assert listed == {"s": "interrupted", "broken": "unreadable"}
    shown = study(home, "show", "broken")
    assert shown.returncode == 2
    assert "cannot be read" in shown.stderr
