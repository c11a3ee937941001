"""Whether more trials of a study are likely to help, in a sentence with the figure."""

from collections.abc import Sequence

import numpy as np

from study.search.expected_gain import ExpectedGain, GainWatch
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec

_LEAST_SHOWN = 1e-6


def expected_gain(spec: StudySpec, trials: Sequence[Trial]) -> tuple[ExpectedGain, bool] | None:
    """What another trial is expected to gain, and whether that ended the search; None where it cannot be
    told, as after few trials.
    """
    if spec.reproduces is not None or spec.early_stopping.rule == "pbt":
        return None
    watch = _watch(spec, trials)
    expected = watch.over or watch.latest
    return None if expected is None else (expected, watch.over is not None)


def more_trials_sentence(spec: StudySpec, trials: Sequence[Trial]) -> str | None:
    """The same for a person."""
    found = expected_gain(spec, trials)
    if found is None:
        return None
    expected, is_over = found
    name = spec.objective.metric.replace("_", " ")
    if not (is_over or expected.gain):
        return f"One more trial is not expected to improve the {name}."
    figure = (
        f"is expected to improve the {name} by {_shown(expected.gain)} on average, which is "
        f"{_shown(expected.per_hour)} for each hour of training"
    )
    if not is_over:
        return f"One more trial {figure}."
    return (
        f"More trials are unlikely to help: one more {figure}, less than the "
        f"{_shown(spec.budget.minimum_gain or 0.0)} that the study file asks for."
    )


def _watch(spec: StudySpec, trials: Sequence[Trial]) -> GainWatch:
    """As the search itself follows it."""
    objective = spec.objective
    watch = GainWatch(
        maximise=objective.maximise, minimum_gain=spec.budget.minimum_gain, bound=objective.bound
    )
    return watch.note_all(trials)


def _shown(value: float) -> str:
    if 0 < value < _LEAST_SHOWN:
        return f"less than {np.format_float_positional(_LEAST_SHOWN, trim='-')}"
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")
