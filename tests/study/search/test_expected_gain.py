"""What another trial is expected to gain, on made-up searches whose answer is known."""

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tabulated_search import make, run

from study.search.expected_gain import FEWEST, GainWatch
from study.search.record.study_record import StudyRecord
from study.search.record.trial import State, Trial
from study.search.record.trial_protocol import TrialConfig
from study.study_file.objective import Objective

HOUR = 3600.0


def ended(
    number: int,
    value: float | None,
    *,
    state: State = "complete",
    seconds: float = HOUR,
    origin: str | None = None,
) -> Trial:
    """A trial that was the `number`-th to end."""
    return Trial(
        number=number,
        state=state,
        point={},
        origin=origin,
        values={} if value is None else {1: value},
        best_epoch=None if value is None else 1,
        value=value,
        metrics={},
        measures={},
        objectives={},
        violations={},
        seconds=seconds,
        run_id=None,
        reason=None,
        retries=(),
        facts={},
        ended=float(number + 1),
    )


def watch(values: Sequence[float], minimum_gain: float | None = None, metric: str | None = None) -> GainWatch:
    """Has seen complete trials of an hour each with these values; without a metric, more is better without
    end.
    """
    objective = None if metric is None else Objective(metric=metric)
    return GainWatch(
        maximise=objective is None or objective.maximise,
        minimum_gain=minimum_gain,
        bound=math.inf if objective is None else objective.bound,
    ).note_all(ended(number, value) for number, value in enumerate(values))


def gain(values: Sequence[float], metric: str | None = None) -> float:
    latest = watch(values, metric=metric).latest
    assert latest is not None
    return latest.gain


@pytest.mark.parametrize(
    ("draw", "true_gain", "highest"),
    [
        (lambda source, num: source.exponential(size=num), lambda best: math.exp(-best), 2.5),
        # Of a normal draw beyond b: density(b) - b (1 - distribution(b)).
        (
            lambda source, num: source.normal(size=num),
            lambda best: (
                math.exp(-(best**2) / 2) / math.sqrt(2 * math.pi) - best * math.erfc(best / math.sqrt(2)) / 2
            ),
            3.5,
        ),
        # Falls off faster than any exponential: never too low, so that no search ends too early.
        (lambda source, num: source.random(num), lambda best: (1 - best) ** 2 / 2, 12.0),
    ],
    ids=["exponential", "normal", "uniform"],
)
@pytest.mark.parametrize("num", [20, 200])
def test_the_gain_of_random_draws_is_what_it_truly_is(
    draw: Callable[[np.random.Generator, int], Sequence[float]],
    true_gain: Callable[[float], float],
    highest: float,
    num: int,
) -> None:
    """Summed over 300 searches; one estimate alone may be off by more."""
    source = np.random.default_rng(0)
    searches = [list(draw(source, num)) for _ in range(300)]
    estimated = sum(map(gain, searches))
    true = sum(true_gain(max(values)) for values in searches)
    assert 1 < estimated / true < highest


def test_a_search_that_gets_better_all_the_time_is_not_over() -> None:
    rising = [0.5 + 0.01 * number for number in range(40)]
    assert 0.005 < gain(rising) < 0.03
    assert watch(rising, minimum_gain=0.005).over is None


def test_a_search_that_has_settled_is_over_although_it_began_with_great_gains() -> None:
    source = np.random.default_rng(0)
    settled = [*source.uniform(0.2, 0.8, 15), *source.normal(0.9, 0.001, 25)]
    assert gain(settled) < 0.001
    assert watch(settled, minimum_gain=0.001).over is not None


def test_nothing_is_gained_beyond_what_a_metric_can_be() -> None:
    values = [0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1.0]
    assert gain(values, "accuracy") == 0
    assert gain(values) > 0
    assert gain([1 - value for value in values], "log_loss") == 0


def test_less_is_a_gain_where_less_is_better() -> None:
    values = np.random.default_rng(0).random(20)
    assert gain(list(1 + values), "log_loss") == pytest.approx(gain(list(-1 - values)), rel=0.1)


def test_few_trials_and_those_that_a_person_wrote_tell_nothing() -> None:
    values = list(np.random.default_rng(0).random(FEWEST))
    assert watch(values[:-1]).latest is None
    assert watch(values).latest is not None
    followed = GainWatch(maximise=True)
    followed.note_all(ended(number, value, origin="mine") for number, value in enumerate(values))
    assert followed.latest is None


def test_trials_without_a_result_make_a_gain_less_likely() -> None:
    values = list(np.random.default_rng(0).random(20))
    followed = GainWatch(maximise=True)
    for number, value in enumerate(values):
        followed.note(ended(2 * number, value))
        followed.note(ended(2 * number + 1, None, state="failed"))
    assert followed.latest is not None
    assert followed.latest.gain == pytest.approx(gain(values) * 11 / 21, rel=0.1)


def test_an_hour_counts_and_not_a_trial() -> None:
    values = list(np.random.default_rng(0).random(20))
    short = GainWatch(maximise=True)
    short.note_all(ended(number, value, seconds=HOUR / 10) for number, value in enumerate(values))
    assert short.latest is not None
    assert short.latest.per_hour == pytest.approx(10 * gain(values))


@pytest.mark.parametrize(("slots", "cut"), [(1, 95), (1, 108), (1, 117), (1, 118), (3, 108)])
def test_a_search_cut_off_anywhere_is_over_after_the_same_trials(
    tmp_path: Path, cut: int, slots: int
) -> None:
    """Trials of 18 seconds, of which the best is some 0.9."""
    limit: dict[str, Any] = {"minimum_gain": 2.0, "trials": 40}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    alone = make(whole, **limit)
    run(alone, slots=slots)
    num = len(alone._record.trials)
    assert FEWEST < num < 40
    reason = alone._limits.reason_to_end()
    assert reason is not None
    assert reason.startswith("more trials are unlikely to help")

    class CutError(Exception):
        pass

    count = itertools.count(1)

    def cut_off(chosen: TrialConfig, at: int) -> None:
        if next(count) == cut:
            raise CutError

    try:
        run(make(parts, **limit), slots=slots, after=cut_off)
    except CutError:
        again = make(parts, **limit)
        run(again, slots=slots)
        assert again._limits.reason_to_end() == reason
    if slots == 1:
        assert len(StudyRecord.open(parts).trials) == num
