"""What the gauges of the queue and of a study say, before Ray exports it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from cluster.fair_share import Demand
from cluster.gauges import Sample
from cluster.slot_gauges import ABOUT, Share, SlotGauges
from cluster.slot_queue import LEASE_SECONDS, SlotQueue
from study.driver import study_gauges
from study.driver.running import _start
from study.driver.study_gauges import StudyGauges
from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec
from study.tracking.log_records import Text
from study.tracking.run_log import RunLog


def values(samples: Iterable[Sample]) -> dict[str, float]:
    """By name and tags, such as `slots_held ada`."""
    return {" ".join((one.name, *one.tags.values())): one.value for one in samples}


def share(tenant: str, user: str, running: int, granted: int, wanted: int) -> Share:
    return Share(tenant=tenant, user=user, num_running=running, num_granted=granted, num_wanted=wanted)


def test_the_queue_says_what_each_user_holds_and_wants_and_how_long_the_longest_waits() -> None:
    now, shares = (
        [100.0],
        [share("a1", "ada", 3, 4, 8), share("a2", "ada", 1, 1, 1), share("b1", "ben", 0, 0, 2)],
    )
    gauges = SlotGauges(lambda: shares, Counter(finished=2, failed=1), clock=lambda: now[0])
    assert values(gauges.read()) == {
        "slots_held ada": 4,
        "slots_granted ada": 5,
        "slots_wanted ada": 9,
        "slots_held ben": 0,
        "slots_granted ben": 0,
        "slots_wanted ben": 2,
        "studies queued": 1,
        "studies running": 2,
        "studies_ended finished": 2,
        "studies_ended failed": 1,
        "longest_wait_seconds": 0,
    }
    now[0] = 160.0
    assert values(gauges.read())["longest_wait_seconds"] == 60
    shares[2] = share("b1", "ben", 1, 1, 2)
    assert values(gauges.read())["longest_wait_seconds"] == 0
    assert {one.name for one in gauges.read()} == set(ABOUT)


def test_a_silent_tenant_is_in_no_gauge_though_nobody_else_renews() -> None:
    now = [0.0]
    queue = SlotQueue(clock=lambda: now[0])
    demand = Demand(tenant="a", user="ada", priority=0, num_slots=2, cpus_per_slot=1.0, gpus_per_slot=0.0)
    queue.renew(4.0, 0.0, asdict(demand), 2)
    assert [one.num_running for one in queue._shares()] == [2]
    now[0] = LEASE_SECONDS + 1
    assert queue._shares() == []


def test_a_study_says_its_trials_and_what_mlflow_lacks(
    home_with_digits: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"study": "s", "dataset": "digits", "search_space": "digits"}
    plan = plan_study(StudySpec.parse(spec), home_with_digits)
    record = _start(plan, 0)
    for _ in range(3):
        assert record.ask(plan.space, 0) is not None
    record.finish(0, "failed", "no memory")
    log = RunLog(Path(plan.folder) / study_gauges.OUTBOX_FOLDER, "trial-0001")
    log.append(Text(path="a", content="a"), Text(path="b", content="b"))
    gauges = StudyGauges("s", "ada", plan.folder)
    assert values(gauges.read()) == {"study_unsent_records s ada": 2}
    gauges.note(record)
    assert values(gauges.read()) == {"study_unsent_records s ada": 2}, "a study on this machine tells nobody"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    gauges.note(record)
    assert values(gauges.read()) == {
        "study_trials s ada failed": 1,
        "study_trials s ada running": 2,
        "study_unsent_records s ada": 2,
    }
