"""The priority of a study: changed by its owner or another, within the ceiling that the operator sets."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from command_line import Study

from cluster.slot_queue import Standing
from study.cli.reports.cluster_jobs import print_queue
from study.driver.running import _start, run_study
from study.errors import StudyError
from study.execution.priorities import check_priority
from study.home import Home
from study.planning.plan import plan_study
from study.results.study_result import StudyResult
from study.study_file.edits import read_edits
from study.study_file.study_spec import StudySpec

SPEC = {"study": "wide", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


@pytest.fixture
def begun(home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study of ada, with priority 1."""
    monkeypatch.setenv("STUDY_USER", "ada")
    plan = plan_study(StudySpec.parse(SPEC), home)
    _start(plan, 1)
    return plan.folder


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy under which ada has 3 at most, and op what they like, of a cluster that is not looked for."""
    file = tmp_path / "queue.yaml"
    file.write_text("everybody: {max_priority: 3}\npeople: {op: {max_priority: null}}\n")
    monkeypatch.setenv("STUDY_QUEUE_POLICY", str(file))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    return file


@pytest.mark.parametrize("value", ["3", "0", "-5"])
def test_a_priority_is_changed_and_noted(study: Study, home: Home, begun: Path, value: str) -> None:
    done = study(home, "priority", "wide", value)
    assert (done.returncode, f"has priority {value} from now on" in done.stdout) == (0, True), done.stderr
    (edit,) = read_edits(begun)
    assert (edit.kind, edit.user, edit.priority) == ("priority", "ada", int(value))
    assert StudyResult.read(begun).priority == int(value)


def test_a_study_of_somebody_else_asks_for_yes(
    study: Study, home: Home, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_USER", "ben")
    refused = study(home, "priority", "wide", "5")
    assert (refused.returncode, "is ada's, and you are ben" in refused.stderr) == (2, True)
    assert study(home, "priority", "wide", "5", "--yes").returncode == 0
    assert [edit.user for edit in read_edits(begun)] == ["ben"]


def test_a_priority_above_the_ceiling_is_refused_with_the_rule_and_the_way_out(
    study: Study, home: Home, begun: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = study(home, "priority", "wide", "4")
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: on this cluster ada may give a study a priority of 3 at most, got 4; take 3 or less, or ask "
        f"the cluster's operator, whose policy is {policy}\n"
    )
    assert read_edits(begun) == ()
    assert study(home, "priority", "wide", "3").returncode == 0
    monkeypatch.setenv("STUDY_USER", "op")
    assert study(home, "priority", "wide", "99", "--yes").returncode == 0, "the operator may raise it"


def test_a_study_above_the_ceiling_does_not_begin(home: Home, policy: Path) -> None:
    with pytest.raises(StudyError, match="a priority of 3 at most, got 9"):
        run_study(SPEC, home=home, priority=9)
    assert not (home.studies / "wide").exists()


def test_a_policy_that_is_wrong_is_told(study: Study, home: Home, begun: Path, policy: Path) -> None:
    policy.write_text("everybody: {ceiling: 3}")
    refused = study(home, "priority", "wide", "1")
    assert (refused.returncode, f"STUDY_QUEUE_POLICY={policy}, everybody.ceiling: " in refused.stderr) == (
        2,
        True,
    )
    assert "Traceback" not in refused.stderr


def test_a_path_that_is_not_absolute_is_told(monkeypatch: pytest.MonkeyPatch, policy: Path) -> None:
    monkeypatch.setenv("STUDY_QUEUE_POLICY", "queue.yaml")
    with pytest.raises(StudyError, match=r"absolute path of the policy .* got 'queue\.yaml'"):
        check_priority(0, "ada")


def test_a_cluster_of_one_s_own_has_no_ceiling(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS")
    check_priority(99, "ada")


def standing(tenant: str, **options: object) -> Standing:
    settings = {
        "tenant": tenant,
        "user": "ada",
        "priority": 0,
        "first_priority": 0,
        "num_running": 2,
        "num_granted": 2,
        "num_wanted": 8,
        "place": None,
        "awaits_node": False,
        "pauses_for": (),
        "gpu_hours": 0.0,
        "gpu_hours_allowed": None,
        **options,
    }
    return Standing(**settings)  # type: ignore[arg-type]


def shown(*tenants: Standing) -> str:
    with redirect_stdout(io.StringIO()) as out:
        print_queue(tenants)
    return out.getvalue()


def test_the_queue_shows_who_rose_who_gives_way_and_who_is_over_budget() -> None:
    text = shown(
        standing("night", pauses_for=("day",), gpu_hours=412.3, gpu_hours_allowed=400.0),
        standing("day", num_running=0, place=1, first_priority=3),
    )
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert "0, last" in rows["night"]
    assert rows["night"].split()[-4:] == ["day", "412", "of", "400"]
    assert "0 -> 3" in rows["day"]
    assert "place 1" in rows["day"]
    plain = shown(standing("night"))
    assert ("waits" in plain, "gives way to" in plain, "GPU hours" in plain) == (False, False, False)
