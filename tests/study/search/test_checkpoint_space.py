"""Checkpoints of trials that wait take no more of the disk than they may."""

from pathlib import Path

import pytest
from tabulated_search import make, run, states

from study.search.record.checkpoint_space import bound_checkpoints
from study.search.record.checkpoints import checkpoint_bytes
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.stopping.early_stopping import EarlyStopping

BYTES = 1000


@pytest.fixture
def paused(tmp_path: Path) -> list[Trial]:
    """Trials that wait at the first rung, each with a checkpoint."""
    scheduler = make(tmp_path, rule="asha_pause", trials=6)
    run(scheduler, slots=6)
    trials = [trial for trial in scheduler._record.trials if trial.last_epoch == 3]
    assert len(trials) >= 3
    for trial in trials:
        folder = tmp_path / "checkpoints" / f"trial-{trial.number:04d}"
        folder.mkdir(parents=True)
        (folder / "training.pt").write_bytes(bytes(BYTES))
    return trials


def test_the_worst_lose_theirs(tmp_path: Path, paused: list[Trial]) -> None:
    by_value = sorted(paused, key=lambda trial: trial.value or 0.0)
    deleted = bound_checkpoints(tmp_path, paused, 2 * BYTES, lambda value: value)
    assert deleted == tuple(trial.number for trial in by_value[:-2])
    assert [checkpoint_bytes(tmp_path, trial.number) for trial in by_value[-2:]] == [BYTES, BYTES]
    assert bound_checkpoints(tmp_path, paused, 2 * BYTES, lambda value: value) == ()


def test_without_a_limit_they_take_half_of_what_is_free(tmp_path: Path, paused: list[Trial]) -> None:
    assert bound_checkpoints(tmp_path, paused, None, lambda value: value) == ()


def test_one_that_begins_again_reports_old_epochs_and_goes_on_with_new_ones(tmp_path: Path) -> None:
    """As it would from its checkpoint: `run` reports from the first epoch on."""
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    for folder in (kept, lost):
        folder.mkdir()
    run(make(kept, rule="asha_pause"))
    run(make(lost, rule="asha_pause"), tells_again=True)
    first, second = (StudyRecord.open(folder).trials for folder in (kept, lost))
    assert [(t.state, dict(t.values)) for t in first] == [(t.state, dict(t.values)) for t in second]
    assert "complete" in states(make(kept, rule="asha_pause"))


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (EarlyStopping(rule="asha_pause", first_rung=0.2, reduction=3), (2, 6)),
        (EarlyStopping(rule="asha_pause", first_rung=0.01, reduction=16), (1, 2)),
        (EarlyStopping(rule="pbt", interval=0.3), (3, 6, 9)),
        (EarlyStopping(rule="asha"), ()),
    ],
)
def test_a_trial_may_wait_only_after_some_epochs(settings: EarlyStopping, epochs: tuple[int, ...]) -> None:
    assert settings.pause_epochs(10) == epochs
