"""The record of where the time of trials' processes went, over reports, retries and other drivers."""

from dataclasses import replace
from pathlib import Path

import pytest
from tabulated_search import epoch, make

from study.search.record import time_book
from study.search.record.time_book import spans_of
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.trial_scheduler import TrialScheduler


def told(
    trial: TrialConfig, number: int, *, process: str = "node:1", idle: float = 1.0, forward: float = 2.0
) -> TrialReport:
    """What a process says of an epoch and of its time."""
    report = epoch(trial, number)
    assert report.epoch is not None
    timed = replace(
        report, epoch=replace(report.epoch, spans={"forward": forward}), process=process, spans={"idle": idle}
    )
    return TrialReport.from_result(timed.to_result())


def recorded(scheduler: TrialScheduler, number: int) -> dict[str, dict[str, float]]:
    """As the record has it, the start of processes left out, which hangs on the machine."""
    found = spans_of(scheduler._record.trial(number).facts)
    return {
        process: {span: seconds for span, seconds in spans.items() if span != "start"}
        for process, spans in found.items()
    }


def test_a_trials_time_is_recorded_when_it_ends(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=1, epochs=3)
    chosen = scheduler.next_trial() or pytest.fail("there is room")
    for number in (1, 2):
        scheduler.on_trial_result(chosen.number, told(chosen, number))
    assert recorded(scheduler, 0) == {}, "not at each epoch"
    scheduler.on_trial_result(chosen.number, replace(told(chosen, 3), state="complete"))
    assert recorded(scheduler, 0) == {"node:1": {"idle": 3.0, "forward": 6.0}}


def test_of_a_long_trial_it_is_recorded_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_book, "SECONDS_BETWEEN_NOTES", 0.0)
    scheduler = make(tmp_path, trials=1)
    chosen = scheduler.next_trial() or pytest.fail("there is room")
    scheduler.on_trial_result(chosen.number, told(chosen, 1))
    within = TrialReport(state="running", process="node:1", spans={"weights": 0.25})
    scheduler.on_trial_result(chosen.number, within)
    assert recorded(scheduler, 0) == {"node:1": {"idle": 1.0, "forward": 2.0, "weights": 0.25}}


def test_another_process_and_another_driver_go_on_counting_and_count_no_epoch_twice(tmp_path: Path) -> None:
    first = make(tmp_path, trials=1, epochs=3)
    chosen = first.next_trial() or pytest.fail("there is room")
    first.on_trial_result(chosen.number, told(chosen, 1))
    first.on_trial_error(chosen.number, "the node is gone", counts=False)
    second = make(tmp_path, trials=1, epochs=3)
    again = second.next_trial() or pytest.fail("it goes on")
    second.on_trial_result(again.number, told(again, 1, process="other:7"))
    second.on_trial_result(again.number, told(again, 2, process="other:7"))
    second.on_trial_result(again.number, TrialReport(state="failed", reason="bad", process="other:7"))
    assert recorded(second, 0) == {
        "node:1": {"idle": 1.0, "forward": 2.0},
        "other:7": {"idle": 2.0, "forward": 2.0},
    }


def test_the_start_of_a_process_counts_from_the_moment_its_trial_was_handed_out(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=1, epochs=2)
    chosen = scheduler.next_trial() or pytest.fail("there is room")
    scheduler._time._handed_out[chosen.number] -= 20.0
    scheduler.on_trial_result(chosen.number, replace(told(chosen, 1), process_seconds=8.0))
    scheduler.on_trial_result(chosen.number, told(chosen, 2))
    scheduler.on_trial_result(chosen.number, TrialReport(state="failed", reason="bad", process="node:1"))
    start = spans_of(scheduler._record.trial(0).facts)["node:1"]["start"]
    assert start == pytest.approx(12.0, abs=1.0)
