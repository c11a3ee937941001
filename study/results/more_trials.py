"""Whether more trials of a study are likely to help, in a sentence with the figure."""

from collections.abc import Sequence

import numpy as np

from study.search.expected_gain import GainWatch
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec

_LEAST_SHOWN = 1e-6


def gain_watch(spec: StudySpec, trials: Sequence[Trial]) -> GainWatch:
    """What another trial of the study is expected to gain, as the search itself follows it."""
    objective = spec.objective
    watch = GainWatch(
        maximise=objective.maximise, minimum_gain=spec.budget.minimum_gain, bound=objective.bound
    )
    return watch.note_all(trials)


def more_trials_sentence(spec: StudySpec, trials: Sequence[Trial]) -> str | None:
    """What another trial is expected to gain; None where that cannot be told, as after few trials."""
    if spec.reproduces is not None or spec.early_stopping.rule == "pbt":
        return None
    watch = gain_watch(spec, trials)
    expected = watch.over or watch.latest
    if expected is None:
        return None
    name = spec.objective.metric.replace("_", " ")
    if watch.over is None and not expected.gain:
        return f"One more trial is not expected to improve the {name}."
    figure = (
        f"is expected to improve the {name} by {_shown(expected.gain)} on average, which is "
        f"{_shown(expected.per_hour)} for each hour of training"
    )
    if watch.over is None:
        return f"One more trial {figure}."
    return (
        f"More trials are unlikely to help: one more {figure}, less than the "
        f"{_shown(spec.budget.minimum_gain or 0.0)} that the study file asks for."
    )


def _shown(value: float) -> str:
    if 0 < value < _LEAST_SHOWN:
        return f"less than {np.format_float_positional(_LEAST_SHOWN, trim='-')}"
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")
