"""The quicker TPE draws what Optuna's own draws, value by value."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import TPESampler
from tabulated import CONDITIONAL, end_trial, make_record, run_trials, worth

from search_spaces.named import find_space
from search_spaces.space import Point, SearchSpace
from study.search.record.study_record import StudyRecord
from study.search.sampling import samplers as sampling
from study.search.sampling.fast_tpe import QuickTPESampler


def drawn_by(sampler: Any, folder: Path, space: SearchSpace, *objectives: str, num: int = 40) -> list[Point]:
    """Trials in all their states, with several that run at once, and one that was enqueued with values beyond
    the others'.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "QuickTPESampler", sampler)
        record = make_record(folder, *objectives)
        points = run_trials(record, space, 14, measure=lambda point: {"latency_ms": 3 * worth(point)})
        points += _several_at_once(record, space, num - 14)
    return points


def _several_at_once(record: StudyRecord, space: SearchSpace, num: int) -> list[Point]:
    asked = [record.ask(space, 7) for _ in range(3)]
    for _ in range(num):
        first = asked.pop(0)
        assert first is not None
        end_trial(record, first[0], worth(first[1]), latency_ms=worth(first[1]))
        asked.append(record.ask(space, 7))
    return [trial.point for trial in record.trials[14:]]


@pytest.mark.parametrize(
    ("space", "objectives"),
    [
        pytest.param(CONDITIONAL, ("accuracy",), id="conditional"),
        pytest.param(find_space("fine_tuning"), ("log_loss",), id="fine_tuning"),
        pytest.param(CONDITIONAL, ("accuracy", "latency_ms"), id="two objectives"),
    ],
)
def test_it_draws_what_optunas_own_draws(
    tmp_path: Path, space: SearchSpace, objectives: Sequence[str]
) -> None:
    theirs = drawn_by(TPESampler, tmp_path / "theirs", space, *objectives)
    assert drawn_by(QuickTPESampler, tmp_path / "ours", space, *objectives) == theirs
