"""How a running study goes, by its folder alone."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Study
from final_results import FINAL

from study.driver.running import _start
from study.errors import StudyError, UnknownStudyError
from study.evaluation.confirmation import Confirmation
from study.home import Home
from study.live.events import EventLog, TrialEvents, last_events
from study.live.paces import PACES_FILE, Devices, written_paces
from study.live.reading import LiveReader
from study.live.state import LiveState
from study.planning.plan import Plan, plan_study
from study.search.record.driver_lock import driving
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.search.record.trial_protocol import Pace, TrialReport
from study.study_file.study_spec import StudySpec

SPEC = {
    "study": "seen",
    "dataset": "digits",
    "search_space": "digits",
    "fix": {"batch_size": 64},
    "budget": {"trials": 6, "epochs": 9, "hours": 2},
    "early_stopping": {"rule": "asha", "first_rung": 0.3},
}


@pytest.fixture
def plan(home: Home) -> Plan:
    return plan_study(StudySpec.parse(SPEC), home)


@pytest.fixture
def record(plan: Plan) -> Iterator[StudyRecord]:
    """Of a study that this process drives."""
    begun = _start(plan, 0)
    with driving(plan.folder) as driver:
        driver.note("running")
        yield begun


def train(plan: Plan, record: StudyRecord, number: int, epochs: int, best: float) -> None:
    """A trial that begins, where it has not, and trains up to an epoch."""
    while len(record.trials) <= number or record.trial(number).state == "waiting":
        record.ask(plan.space, 0)
    for epoch in range(record.trial(number).last_epoch + 1, epochs + 1):
        value = best - 0.01 * (epochs - epoch)
        record.report(number, EpochReport(epoch=epoch, value=value, metrics={}, seconds=4.0, run_id=None))


def pace(epochs: int, share: float) -> TrialReport:
    """What a trial's process reports within an epoch."""
    told = Pace(num_epochs=epochs, share=share, images_per_second=250.0, epoch_seconds=4.0, device="cpu")
    return TrialReport(state="running", pace=told)


def read(plan: Plan) -> LiveState:
    state = LiveReader(plan.folder).read()
    assert LiveState.from_json(state.to_json()) == state, "it travels"
    return state


def test_a_study_is_seen_as_it_goes(plan: Plan, record: StudyRecord) -> None:
    train(plan, record, 0, 9, 0.7)
    record.finish(0, "complete")
    train(plan, record, 1, 3, 0.4)
    record.finish(1, "pruned", "behind the others at epoch 3: place 2 of 2 at 30% of the schedule")
    train(plan, record, 2, 2, 0.8)
    train(plan, record, 3, 0, 0.0)
    devices = Devices(num_cpus=2, cpus_per_trial=1)
    with written_paces(plan.folder, lambda: devices) as paces:
        paces.take(2, pace(2, 0.5))
        wait_for_file(plan.folder / PACES_FILE)
        state = read(plan)
    assert (state.state, state.does, state.num_ended, state.num_trials) == ("running", "searching", 2, 6)
    assert state.counts == {"complete": 1, "pruned": 1, "running": 2, "to come": 2}
    assert state.best is not None
    assert (state.best.name, state.best.state, state.best.epoch) == ("trial-0002", "running", 2)
    assert "batch_size" not in state.best.point, "what is the same for all trials says nothing"
    assert "learning_rate" in state.best.point
    assert state.curve == (0.7, 0.7, 0.8)
    first, second = state.running
    assert (first.name, first.epoch, first.num_epochs, first.share) == ("trial-0002", 2, 9, 0.5)
    assert first.images_per_second == 250.0
    assert first.seconds_left == pytest.approx((9 - 2.5) * 4.0, abs=3.0)
    assert (second.epoch, second.images_per_second, second.seconds_left) == (0, None, None)
    assert state.devices == devices
    assert [(limit.what, limit.most) for limit in state.limits] == [("hours", 2.0)]
    assert state.seconds_left is not None
    assert not (plan.folder / PACES_FILE).exists(), "it goes with the driver"


def test_progress_within_the_first_epoch_is_seen(plan: Plan, record: StudyRecord) -> None:
    train(plan, record, 0, 0, 0.0)
    with written_paces(plan.folder, Devices) as paces:
        paces.take(0, pace(0, 0.25))
        wait_for_file(plan.folder / PACES_FILE)
        state = read(plan)
    (trial,) = state.running
    assert (trial.epoch, trial.share, trial.images_per_second) == (0, 0.25, 250.0)
    assert state.share_done == pytest.approx(0.25 / 54)
    assert state.seconds_left is None, "a quarter of an epoch tells nothing of six trials"


def test_the_end_that_is_expected_follows_the_work_that_is_left(plan: Plan, record: StudyRecord) -> None:
    for number in range(3):
        train(plan, record, number, 9, 0.5)
        record.finish(number, "complete")
    record.note(seconds=100.0)
    state = read(plan)
    # 27 epochs took 100 s; of three more trials early stopping leaves three fourths, as far as is known.
    assert state.seconds_left == pytest.approx(27 * 0.75 * 100 / 27, rel=0.05)


def test_the_hours_of_the_budget_end_it_earlier(home: Home) -> None:
    plan = plan_study(StudySpec.parse({**SPEC, "budget": {"trials": 6000, "epochs": 9, "hours": 2}}), home)
    begun = _start(plan, 0)
    with driving(plan.folder):
        train(plan, begun, 0, 9, 0.5)
        begun.finish(0, "complete")
        begun.note(seconds=100.0)
        left = read(plan).seconds_left
    assert left == pytest.approx(2 * 3600 - 100, abs=5)


def test_further_trainings_of_the_best_are_seen_by_their_own_names(home: Home) -> None:
    plan = plan_study(StudySpec.parse({**SPEC, "confirm": {"top": 1, "seeds": 2}}), home)
    begun = _start(plan, 0)
    with driving(plan.folder) as driver:
        driver.note("running")
        train(plan, begun, 0, 9, 0.7)
        begun.finish(0, "complete")
        confirmation = Confirmation.create(plan.folder, plan.spec.objective)
        confirmation.want(begun, (begun.trial(0),), 2, plan.space)
        train(plan, confirmation.record, 0, 3, 0.6)
        state = read(plan)
    assert (state.does, state.num_trials) == ("confirming the best", 2)
    assert [trial.name for trial in state.running] == ["trial-0000-seed-1"]
    assert state.best is not None
    assert state.best.name == "trial-0000"
    assert state.seconds_left == pytest.approx((6 + 9) * 4.0, abs=1)


def test_a_study_that_was_asked_to_stop_stops_until_its_driver_has_ended(home: Home, study: Study) -> None:
    plan = plan_study(StudySpec.parse(SPEC), home)
    begun = _start(plan, 0)

    def told() -> list[str]:
        (listed,) = json.loads(study(home, "status", "--json").stdout)
        shown = json.loads(study(home, "show", "seen", "--json").stdout)
        watched = json.loads(study(home, "watch", "seen", "--once", "--json").stdout)
        return [one["state"] for one in (listed, shown, watched)]

    with driving(plan.folder) as driver:
        driver.note("running")
        train(plan, begun, 0, 2, 0.5)
        train(plan, begun, 1, 1, 0.5)
        assert told() == ["running"] * 3
        assert study(home, "stop", "seen").returncode == 0
        assert told() == ["stopping"] * 3
        assert "stopping" in study(home, "status").stdout
        assert "stopping, driven by" in study(home, "show", "seen").stdout
        view = study(home, "watch", "seen", "--once").stdout
        assert "seen on digits: stopping once its 2 running trials have ended their epochs" in view
        assert "estimate" not in view, "nobody waits for trials that will not come"
        begun.pause(0, gives_way=False)
        begun.pause(1, gives_way=False)
        assert "seen on digits: stopping\n" in study(home, "watch", "seen", "--once").stdout
    assert told() == ["stopped"] * 3


def test_without_a_driver_nothing_is_expected(home: Home, study: Study) -> None:
    plan = plan_study(StudySpec.parse(SPEC), home)
    begun = _start(plan, 0)
    train(plan, begun, 0, 2, 0.5)
    state = read(plan)
    assert (state.state, state.is_driven, state.running, state.seconds_left) == (
        "interrupted",
        False,
        (),
        None,
    )
    FINAL.write(plan.folder)
    assert read(plan).state == "finished"
    shown = study(home, "watch", "seen", "--once", "--json")
    assert json.loads(shown.stdout)["state"] == "finished"
    assert "seen on digits: finished" in study(home, "watch", "seen", "--once").stdout
    for words, message in (
        (("watch", "none", "--once"), "unknown study 'none'; known: seen"),
        (("watch", "seen", "--json"), "study watch --json prints one state"),
    ):
        refused = study(home, *words)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr


def test_files_that_are_gone_or_broken_are_a_message(plan: Plan, record: StudyRecord) -> None:
    reader = LiveReader(plan.folder)
    (plan.folder / "edits.jsonl").write_text("no edit\n")
    with pytest.raises(StudyError, match=r"study 'seen' in .* cannot be read"):
        reader.read()
    with pytest.raises(UnknownStudyError):
        LiveReader.of(plan.home, "other")
    (plan.folder / PACES_FILE).write_text('{"paces": {"0": ')
    (plan.folder / "edits.jsonl").unlink()
    assert reader.read().devices is None


def test_what_happened_is_told_once_and_in_order(plan: Plan, record: StudyRecord) -> None:
    events = TrialEvents(EventLog(plan.folder), plan.spec, ())

    def noted(number: int) -> list[tuple[str, str]]:
        return [(one.kind, one.text) for one in events.note(record.trial(number), f"trial-{number}")]

    train(plan, record, 0, 2, 0.3)
    assert noted(0) == []
    train(plan, record, 0, 3, 0.4)
    assert noted(0) == [("promoted", "trial-0 passed rung 1, epoch 3")]
    assert noted(0) == []
    train(plan, record, 0, 9, 0.5)
    record.finish(0, "complete")
    assert noted(0) == [("best", "trial-0 complete: macro_f1 0.5000, the best so far")]
    train(plan, record, 1, 3, 0.2)
    record.note_retry(1, "its process died")
    record.finish(1, "pruned", "place 2 of 2")
    assert noted(1) == [("stopped", "trial-1 stopped at rung 1: place 2 of 2")]
    train(plan, record, 2, 1, 0.2)
    assert noted(2) == []
    record.note_retry(2, "its process died: killed")
    assert noted(2) == [("retried", "trial-2 begins again: its process died: killed")]
    record.pause(2, gives_way=True)
    assert noted(2) == [("paused", "trial-2 gives way to another study after epoch 1")]
    record.unpause(2)
    assert noted(2) == [("promoted", "trial-2 goes on after epoch 1")]
    record.finish(2, "failed", "the training loss became nan")
    assert noted(2) == [("failed", "trial-2 failed: the training loss became nan")]
    later = TrialEvents(EventLog(plan.folder), plan.spec, record.trials)
    train(plan, record, 3, 9, 0.45)
    record.finish(3, "complete")
    (last,) = later.note(record.trial(3), "trial-3")
    assert last.kind == "complete", "a driver that resumes knows the best of the one before"
    assert [one.kind for one in last_events(plan.folder, 3)] == ["promoted", "failed", "complete"]
    with (plan.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "sa')
    assert len(last_events(plan.folder, 100)) == 8


def wait_for_file(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
