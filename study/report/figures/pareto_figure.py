"""The Pareto front of a study with several objectives."""

from collections.abc import Sequence

from study.names import trial_name
from study.number_text import number_text
from study.report.figures.palette import BLUE, GRAY, framed
from study.report.figures.picture import Picture, Shown, Table, words
from study.results.study_result import StudyResult
from study.search.record.trial import Trial


def pareto_picture(result: StudyResult) -> Shown:
    """The first objective over the second: complete trials that keep the constraints, the front joined."""
    objectives = result.spec.objectives
    if len(objectives) < 2:
        return "The study has one objective, so there is no Pareto front."
    if not result.pareto:
        return "No trial is complete and keeps the constraints, so there is no Pareto front."
    up, across = (objective.metric for objective in objectives[:2])
    front = {trial.number for trial in result.pareto}
    others = [
        trial
        for trial in result.trials
        if trial.state == "complete"
        and trial.is_feasible
        and trial.number not in front
        and None not in trial.objectives.values()
    ]
    figure = framed(height=400, x=_title(result, across, 1), y=_title(result, up, 0))
    ordered = sorted(result.pareto, key=lambda trial: trial.objectives[across] or 0.0)
    for name, trials, mode, color, symbol in (
        ("other trials", others, "markers", GRAY, "circle-open"),
        ("Pareto front", ordered, "lines+markers" if len(objectives) == 2 else "markers", BLUE, "diamond"),
    ):
        figure.add_scatter(
            x=[trial.objectives[across] for trial in trials],
            y=[trial.objectives[up] for trial in trials],
            mode=mode,
            name=name,
            line={"color": BLUE, "width": 1.5, "shape": _shape(result)},
            marker={"color": color, "symbol": symbol, "size": 9},
            text=[_text(trial) for trial in trials],
            hoverinfo="text",
        )
    return Picture(
        figure=figure,
        title="Pareto front",
        caption=(
            f"{len(front)} of {len(front) + len(others)} complete trials "
            f"{'is' if len(front) == 1 else 'are'} on the front: no other is better than "
            f"{'it' if len(front) == 1 else 'one of these'} in one of "
            f"{' and '.join(words(objective.metric) for objective in objectives)} without being worse in "
            "another."
            + ("" if len(objectives) == 2 else " The picture shows the first two, and the table all.")
        ),
        table=Table(
            caption="The trials of the Pareto front",
            columns=("trial", *(objective.metric for objective in objectives)),
            rows=tuple((trial_name(trial.number), *_values(trial, result)) for trial in result.pareto),
        ),
    )


def _values(trial: Trial, result: StudyResult) -> Sequence[str]:
    return [number_text(trial.objectives[objective.metric]) for objective in result.spec.objectives]


def _text(trial: Trial) -> str:
    values = ", ".join(f"{words(name)} {number_text(value)}" for name, value in trial.objectives.items())
    return f"{trial_name(trial.number)}: {values}"


def _title(result: StudyResult, metric: str, index: int) -> str:
    is_more = result.spec.objectives[index].maximise
    return f"{words(metric)} ({'more' if is_more else 'less'} is better)"


def _shape(result: StudyResult) -> str:
    """Between two trials of the front nothing better than the worse corner is known."""
    return "hv" if not result.spec.objectives[1].maximise else "vh"
