"""Recorded curves under another rule: who would have been stopped, what would have been saved, and who would
have won.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from search_spaces.dimensions import Choice, Float, one_of
from search_spaces.space import SearchSpace
from study.cli.reports.replay_tables import print_replay
from study.errors import SpecError, UnknownStudyError
from study.home import Home
from study.results.replay import Replay, Winner, replay_named
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.stopping.decision import CONTINUE, Decision
from study.stopping.simulation import Curve, simulate
from study.study_file.study_spec import StudySpec
from study.yaml_file import write_yaml

EARLY = [0.1, 0.5, 0.6, 0.7, 0.7, 0.7]
"""Ahead at first, and never the best."""
LATE = [0.05, 0.1, 0.2, 0.5, 0.8, 0.9]
"""The winner, which begins slowly."""
POOR = [0.08, 0.1, 0.1, 0.1, 0.1, 0.1]

SPACE = SearchSpace(
    name="two ways",
    about="",
    dimensions=(
        Float(name="learning_rate", low=1e-5, high=1e-2),
        Choice(name="fine_tuning", options=("full", "lp_ft")),
        Float(name="probe_fraction", low=0.1, high=0.9, when={"fine_tuning": one_of("lp_ft")}),
    ),
)


def replayed(
    folder: Path,
    curves: Sequence[list[float]],
    rule: str,
    *,
    ends: Sequence[Any] = (),
    metric: str = "macro_f1",
    points: Sequence[dict[str, Any]] = (),
    **how: Any,
) -> Replay:
    """The replay of a study `curves` that is recorded first; trials end as `ends` says, by default
    complete.
    """
    home = Home(folder)
    spec = StudySpec.parse(
        {
            "study": "curves",
            "dataset": "digits",
            "objective": {"metric": metric},
            "budget": {"epochs": 6},
            "early_stopping": {"rule": "none", "protect_top": 0, "first_rung": 0.15},
        }
    )
    study_folder = home.studies / "curves"
    study_folder.mkdir(parents=True)
    write_yaml(study_folder / "study.yaml", spec.to_dict())
    record = StudyRecord.create(study_folder, "curves", objectives=spec.objectives)
    record_curves(record, curves, ends, points)
    return replay_named(home, "curves", rule=rule, **how)


def record_curves(
    record: StudyRecord, curves: Sequence[list[float]], ends: Sequence[Any], points: Sequence[dict[str, Any]]
) -> None:
    for number, curve in enumerate(curves):
        point = points[number] if points else {"fine_tuning": "full"}
        record.enqueue(SPACE, {"learning_rate": 1e-4 * (number + 1), **point}, "this test")
        assert record.ask(SPACE, seed=0) is not None
        for epoch, value in enumerate(curve, start=1):
            record.report(number, EpochReport(epoch=epoch, value=value, metrics={}, seconds=2.0, run_id=None))
        record.finish(number, ends[number] if ends else "complete")


def test_a_winner_that_begins_slowly_is_lost_to_an_early_rung(tmp_path: Path) -> None:
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "asha")
    assert [(stopped.trial, stopped.epoch, stopped.num_recorded) for stopped in replay.stopped] == [
        (1, 1, 6),
        (2, 1, 6),
    ]
    assert (replay.epochs_spent, replay.epochs_recorded, replay.epochs_saved) == (8, 18, 10)
    assert (replay.seconds_spent, replay.seconds_recorded) == (16.0, 36.0)
    assert replay.recorded_winner == Winner(trial=1, value=0.9, rank=1)
    assert replay.winner == Winner(trial=0, value=0.7, rank=2)
    assert replay.is_winner_lost
    assert replay.regret == pytest.approx(0.2)
    assert replay.stopped[0].lost == pytest.approx(0.85)


def test_a_later_rung_keeps_it(tmp_path: Path) -> None:
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "asha", first_rung=0.8, reduction=2)
    assert [stopped.trial for stopped in replay.stopped] == [2]
    assert not replay.is_winner_lost
    assert replay.regret == 0.0


def test_without_a_rule_everything_is_as_it_was_recorded(tmp_path: Path) -> None:
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "none")
    assert (replay.epochs_saved, replay.stopped, replay.is_winner_lost) == (0, (), False)


def test_less_is_better_for_a_loss(tmp_path: Path) -> None:
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "asha", metric="log_loss")
    assert [stopped.trial for stopped in replay.stopped] == [2]
    assert replay.recorded_winner == Winner(trial=1, value=0.05, rank=1)
    assert not replay.is_winner_lost


def test_what_was_really_stopped_early_has_no_curve_beyond(tmp_path: Path) -> None:
    replay = replayed(
        tmp_path, [EARLY, LATE[:2], POOR[:3], []], "none", ends=["complete", "pruned", "failed", "failed"]
    )
    assert (replay.num_trials, replay.num_cut_short, replay.epochs_saved) == (3, 2, 0)
    assert replay.winner == Winner(trial=0, value=0.7, rank=1)


def test_trials_that_wait_for_a_promotion_to_the_end_are_stopped(tmp_path: Path) -> None:
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "asha_pause")
    assert [(stopped.trial, stopped.epoch) for stopped in replay.stopped] == [(1, 1), (2, 1)]
    assert replay.winner == Winner(trial=0, value=0.7, rank=2), (
        "alone at the second rung, and the last there is"
    )


def test_a_recipe_that_trains_its_head_first_is_not_compared_with_one_that_does_not(tmp_path: Path) -> None:
    points: list[dict[str, Any]] = [
        {"fine_tuning": "full"},
        {"fine_tuning": "lp_ft", "probe_fraction": 0.6},
        {"fine_tuning": "full"},
    ]
    replay = replayed(tmp_path, [EARLY, LATE, POOR], "asha", points=points)
    assert [stopped.trial for stopped in replay.stopped] == [2]
    assert not replay.is_winner_lost


def test_a_rule_that_does_not_exist_and_a_study_that_does_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"early_stopping.rule must be one of .*got 'best'"):
        replayed(tmp_path, [EARLY], "best")
    with pytest.raises(UnknownStudyError, match="unknown study 'other'; known: curves"):
        replay_named(Home(tmp_path), "other", rule="asha")


def test_the_report_says_what_is_saved_and_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay = replayed(
        tmp_path, [EARLY, LATE, POOR[:2]], "asha", ends=["complete", "complete", "pruned"], slots=2
    )
    print_replay(replay)
    text = capsys.readouterr().out
    assert "curves replayed under asha (first rung 15%, reduction 3), 2 trials at a time" in text
    assert "epochs    8 of 14 recorded: 6 saved (43%)" in text
    assert "winner    trial-0001, macro_f1 0.9000: lost" in text
    assert "instead trial-0000, macro_f1 0.7000, place 2 by what was recorded: 0.2000 worse" in text
    assert "behind the others at epoch 1" in text
    print_replay(replay, as_json=True)
    tree = json.loads(capsys.readouterr().out)
    assert (tree["epochs_saved"], tree["is_winner_lost"], tree["early_stopping"]["rule"]) == (6, True, "asha")


class Wary:
    """A rule that pauses each trial at its second epoch, and promotes the one with the highest number."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def on_epoch(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> Decision:
        self.asked.append((trial, epoch))
        return Decision("pause", "waits") if epoch == 2 else CONTINUE

    def replay(self, *_: Any) -> None:
        raise AssertionError

    def trial_to_unpause(self, paused: Any, *, is_closing: bool = False) -> int | None:
        return max(paused, default=None) if is_closing else None


def test_slots_take_turns_by_what_an_epoch_takes_and_promotions_come_when_nothing_else_can_start() -> None:
    curves = [
        Curve(
            trial=trial,
            values=dict.fromkeys(range(1, 4), 0.5),
            num_epochs=3,
            group_at=lambda _: "network",
            epoch_seconds=seconds,
        )
        for trial, seconds in enumerate([1.0, 3.0, 1.5])
    ]
    rule = Wary()
    endings = simulate(curves, rule, num_slots=2)
    assert rule.asked == [(0, 1), (0, 2), (1, 1), (2, 1), (2, 2), (1, 2), (2, 3), (1, 3), (0, 3)]
    assert all(ending.epoch == 3 and ending.decision == CONTINUE for ending in endings.values())
