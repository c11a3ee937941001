"""The scheduler of a search, with a real record and real rules, and a table of curves in place of
training.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tabulated_search import EPOCHS, epoch, make, run, states

from study.search.record.study_record import StudyRecord
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.trial_scheduler import TrialScheduler
from study.study_file.edits import Edit, append_edit


def test_a_course_without_a_rule_completes_all_trials_of_the_budget(tmp_path: Path) -> None:
    scheduler = make(tmp_path)
    run(scheduler, slots=2)
    assert states(scheduler) == ["complete"] * 6
    assert {len(trial.values) for trial in scheduler._record.trials} == {EPOCHS}


@pytest.mark.parametrize("rule", ["asha", "asha_pause", "hyperband", "median", "pbt"])
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("tells_again", [True, False])
def test_under_every_rule_all_trials_end_and_the_best_is_complete(
    tmp_path: Path, rule: str, slots: int, tells_again: bool
) -> None:
    scheduler = make(tmp_path, rule=rule, trials=12)
    run(scheduler, slots=slots, tells_again=tells_again)
    assert all(trial.has_ended for trial in scheduler._record.trials)
    assert len([trial for trial in scheduler._record.trials if trial.continues is None]) == 12
    best = scheduler._record.best()
    assert best is not None
    assert best.state == "complete"
    if rule == "asha_pause":
        assert best.point["learning_rate"] == max(
            trial.point["learning_rate"] for trial in scheduler._record.trials
        )


@pytest.mark.parametrize("rule", ["asha", "asha_pause", "hyperband", "median", "pbt"])
@pytest.mark.parametrize("cut", [1, 4, 7, 12, 13, 20, 24, 29])
def test_a_course_cut_anywhere_comes_to_the_same(tmp_path: Path, rule: str, cut: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    alone = make(whole, rule=rule)
    run(alone)

    class CutError(Exception):
        pass

    count = itertools.count(1)

    def cut_off(chosen: TrialConfig, at: int) -> None:
        if next(count) == cut:
            raise CutError

    try:
        run(make(parts, rule=rule), after=cut_off)
    except CutError:
        again = make(parts, rule=rule)
        run(again)
    after, before = StudyRecord.open(parts).trials, alone._record.trials
    assert [(t.point, t.state, dict(t.values)) for t in after] == [
        (t.point, t.state, dict(t.values)) for t in before
    ]


def test_a_trial_that_breaks_begins_again_under_its_number_until_that_was_too_often(tmp_path: Path) -> None:
    scheduler = make(tmp_path, retries=2, trials=1)
    numbers, attempts = [], []
    while (chosen := scheduler.next_trial()) is not None:
        numbers.append(chosen.number)
        attempts.append(chosen.attempt)
        scheduler.on_trial_result(chosen.number, TrialReport(state="waiting", reason="CUDA error"))
    assert (numbers, attempts) == ([0, 0, 0], [0, 1, 2])
    (trial,) = scheduler._record.trials
    assert trial.state == "failed"
    assert trial.reason == "CUDA error (after 2 retries)"


def test_a_lost_node_does_not_count(tmp_path: Path) -> None:
    scheduler = make(tmp_path, retries=0, trials=1)
    for _ in range(5):
        chosen = scheduler.next_trial()
        assert chosen is not None
        scheduler.on_trial_error(chosen.number, "its node was lost", counts=False)
    run(scheduler)
    assert states(scheduler) == ["complete"]


def test_a_trial_whose_machine_goes_away_goes_on_before_any_other(tmp_path: Path) -> None:
    scheduler = make(tmp_path, retries=0, trials=3)
    first, second = scheduler.next_trial(), scheduler.next_trial()
    assert first is not None
    assert second is not None
    for chosen in (first, second):
        assert scheduler.on_trial_result(chosen.number, epoch(chosen, 1))
    scheduler.move(first.number)
    scheduler.on_trial_error(first.number, "the process that it left has died")
    again = scheduler.next_trial()
    assert again is not None
    assert (again.number, again.attempt) == (first.number, 1)
    assert make(tmp_path).next_trial() is not None, "a driver that dies then loses nothing"
    for chosen in (first, second):
        for number in range(2, EPOCHS + 1):
            scheduler.on_trial_result(chosen.number, epoch(chosen, number))
    run(scheduler)
    assert states(scheduler) == ["complete"] * 3
    assert [trial.retries for trial in scheduler._record.trials] == [()] * 3


def test_want_of_memory_is_infeasible_and_not_a_failure(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=2)
    chosen = scheduler.next_trial()
    assert chosen is not None
    scheduler.on_trial_result(chosen.number, TrialReport(state="infeasible", reason="too little memory"))
    run(scheduler)
    assert states(scheduler) == ["infeasible", "complete"]


def test_a_study_that_is_stopped_keeps_its_running_trials_and_goes_on_with_them(tmp_path: Path) -> None:
    scheduler = make(tmp_path)

    def stop(chosen: TrialConfig, at: int) -> None:
        if (chosen.number, at) == (1, 4):
            append_edit(tmp_path, Edit(kind="stop"))

    run(scheduler, after=stop)
    assert states(scheduler) == ["complete", "running"]
    assert scheduler.is_stopped
    append_edit(tmp_path, Edit(kind="resume"))
    again = make(tmp_path)
    run(again)
    assert states(again) == ["complete"] * 6


def test_within_an_epoch_too_a_stop_and_a_kill_are_heard(tmp_path: Path) -> None:
    scheduler = make(tmp_path)
    first, second = scheduler.next_trial(), scheduler.next_trial()
    assert first is not None
    assert second is not None
    within = TrialReport(state="running")
    assert scheduler.on_trial_result(first.number, within)
    append_edit(tmp_path, Edit(kind="kill", trial=first.number, user="ada"))
    assert not scheduler.on_trial_result(first.number, within)
    assert scheduler.on_trial_result(second.number, within)
    append_edit(tmp_path, Edit(kind="stop"))
    assert not scheduler.on_trial_result(second.number, within)
    assert states(scheduler) == ["killed", "running"]
    append_edit(tmp_path, Edit(kind="resume"))
    again = make(tmp_path)
    run(again)
    assert [len(trial.values) for trial in again._record.trials] == [0] + [EPOCHS] * 5


def test_what_is_asked_while_it_runs_is_done(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=3)

    def steer(chosen: TrialConfig, at: int) -> None:
        if (chosen.number, at) == (0, 2):
            append_edit(tmp_path, Edit(kind="extend", trials=2))
            append_edit(tmp_path, Edit(kind="kill", trial=0, user="ada"))
            append_edit(
                tmp_path, Edit(kind="enqueue", point={"learning_rate": 0.05, "batch_size": 32}, user="bob")
            )
            append_edit(tmp_path, Edit(kind="pin", point={"batch_size": 64}))

    run(scheduler, after=steer)
    first, second, *others = scheduler._record.trials
    assert (first.state, first.reason) == ("killed", "killed by ada")
    assert len(first.values) == 3
    assert (second.point, second.origin) == ({"learning_rate": 0.05, "batch_size": 32}, "enqueued by bob")
    assert [trial.point["batch_size"] for trial in others] == [64, 64, 64]


def test_a_configuration_is_enqueued_once_although_the_driver_died_before_it_noted_that(
    tmp_path: Path,
) -> None:
    make(tmp_path)
    append_edit(tmp_path, Edit(kind="extend", trials=1))
    append_edit(tmp_path, Edit(kind="enqueue", point={"learning_rate": 0.02, "batch_size": 32}))
    begun = make(tmp_path)
    begun._record.note(num_edits_taken=0)  # as the record is where the driver is killed in between
    again = make(tmp_path)
    append_edit(tmp_path, Edit(kind="enqueue", point={"learning_rate": 0.02, "batch_size": 32}))
    run(again)
    assert [trial.origin is not None for trial in again._record.trials] == [True, True] + [False] * 5
    assert [trial.facts["edit"] for trial in again._record.trials[:2]] == [1, 2], (
        "asked twice, it is tried twice"
    )


@pytest.mark.parametrize(
    ("budget", "num_trials", "reason"),
    [
        ({"total_epochs": 20}, 3, "the study's 20 epochs are over"),
        ({"gpu_hours": 40 / 3600}, 3, "the study's 0.0111111 GPU hours are over"),
        ({"target": 1e-5}, 1, "the target 1e-05 is reached"),
        ({"no_improvement": 1, "trials": 50}, None, "1 trials in a row brought nothing better"),
        (
            {"minimum_gain": 1e6, "trials": 50},
            12,
            "more trials are unlikely to help (expected gain 5.3 an hour, minimum_gain 1e+06)",
        ),
    ],
)
def test_budgets_end_a_study(
    tmp_path: Path, budget: dict[str, Any], num_trials: int | None, reason: str
) -> None:
    scheduler = make(tmp_path, **budget)
    run(scheduler)
    assert all(trial.has_ended for trial in scheduler._record.trials)
    if num_trials is not None:
        assert len(scheduler._record.trials) == num_trials
    assert len(scheduler._record.trials) < 50
    assert scheduler._limits.reason_to_end() == reason


def test_a_study_of_which_half_fails_stops_and_says_why(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=50)
    while (chosen := scheduler.next_trial()) is not None:
        if chosen.number % 2:
            scheduler.on_trial_result(chosen.number, TrialReport(state="failed", reason="bad"))
        else:
            scheduler.on_trial_result(chosen.number, epoch(chosen, EPOCHS))
    assert len(scheduler._record.trials) == 6
    assert scheduler._limits.reason_to_end() == "3 of 6 trials failed"


def test_trials_of_a_seed_do_not_depend_on_what_the_process_did_before(tmp_path: Path) -> None:
    points = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        scheduler = make(tmp_path / name)
        run(scheduler)
        points.append([trial.point for trial in scheduler._record.trials])
    assert points[0] == points[1]


@pytest.mark.parametrize("rule", ["none", "asha", "asha_pause", "hyperband", "median", "pbt"])
def test_trials_that_give_way_go_on_later_and_nothing_measured_changes(tmp_path: Path, rule: str) -> None:
    """Of three slots, one or none is kept now and then; the driver dies in between, too."""
    found = []
    for name, keep in (("calm", itertools.repeat(None)), ("stormy", itertools.cycle([None, 1, 0, 2]))):
        (tmp_path / name).mkdir()
        scheduler = make(tmp_path / name, rule=rule, trials=9)
        run_giving_way(scheduler, keep, num_reports=20)
        again = make(tmp_path / name, rule=rule, trials=9)
        run_giving_way(again, keep)
        assert all(trial.has_ended for trial in again._record.trials)
        found.append({trial.number: trial for trial in again._record.trials})
    calm, stormy = found
    assert max(trial.last_epoch for trial in stormy.values()) == EPOCHS
    for number in calm.keys() & stormy.keys():
        if calm[number].point == stormy[number].point:
            both = calm[number].values.keys() & stormy[number].values.keys()
            assert all(calm[number].values[at] == stormy[number].values[at] for at in both)
    if rule == "none":
        assert [dict(trial.values) for trial in stormy.values()] == [
            dict(trial.values) for trial in calm.values()
        ]


def run_giving_way(
    scheduler: TrialScheduler, keep: Iterator[int | None], num_reports: int | None = None
) -> None:
    """Three slots, of which some may be taken after each report.

    Ends after `num_reports`, as where a driver dies.
    """
    running: dict[int, tuple[TrialConfig, int]] = {}
    reports = itertools.count(1)
    while not scheduler.is_over:
        while len(running) < 3 and (chosen := scheduler.next_trial()) is not None:
            assert chosen.number not in running
            running[chosen.number] = (chosen, scheduler.last_epoch(chosen.number) + 1)
        for number, (chosen, at) in list(running.items()):
            if scheduler.on_trial_result(number, epoch(chosen, at)) and not scheduler.gives_way(
                number, next(keep)
            ):
                running[number] = (chosen, at + 1)
            else:
                del running[number]
            if next(reports) == num_reports:
                return
    scheduler.conclude()


def test_those_that_have_come_least_far_give_way_each_with_its_next_epoch(tmp_path: Path) -> None:
    scheduler = make(tmp_path)
    configs = [scheduler.next_trial() for _ in range(3)]
    for number, config in enumerate(configs):
        assert config is not None
        scheduler.on_trial_result(number, epoch(config, 1))
    first, second, third = (config for config in configs if config is not None)
    scheduler.on_trial_result(0, epoch(first, 2))
    assert not scheduler.gives_way(0, 1)
    assert states(scheduler) == ["running"] * 3
    scheduler.on_trial_result(1, epoch(second, 2))
    assert scheduler.gives_way(1, 1), "it was chosen when it was behind, and stays chosen"
    scheduler.on_trial_result(2, epoch(third, 2))
    assert scheduler.gives_way(2, 1)
    assert (states(scheduler), scheduler.num_more) == (["running", "paused", "paused"], 5)
    assert not scheduler.gives_way(0, 1)
    scheduler.on_trial_error(1, "its process died as it was ended")
    back = [scheduler.next_trial() for _ in range(3)]
    assert [(config.number, config.attempt) for config in back if config is not None] == [
        (1, 1),
        (2, 1),
        (3, 0),
    ]
    assert states(scheduler) == ["running"] * 4


def test_a_study_says_how_many_slots_it_could_use(tmp_path: Path) -> None:
    scheduler = make(tmp_path, trials=3)
    assert scheduler.num_more == 3
    chosen = scheduler.next_trial()
    assert chosen is not None
    assert scheduler.num_more == 2
    append_edit(tmp_path, Edit(kind="priority", priority=4, user="ada"))
    append_edit(tmp_path, Edit(kind="stop"))
    scheduler.take_edits()
    assert scheduler.num_more == 0
    assert scheduler.last_priority is not None
    assert (scheduler.last_priority.priority, scheduler.last_priority.user) == (4, "ada")
