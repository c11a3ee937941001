"""The optimisation history: the value of each trial, and the best so far."""

from study.names import trial_name
from study.report.figures.palette import BLUE, framed
from study.report.figures.picture import Picture, Shown, Table, value_text, words
from study.report.figures.trial_states import LOOKS, finite_value, trial_text
from study.results.study_result import StudyResult
from study.search.record.trial import Trial


def history_picture(result: StudyResult) -> Shown:
    """The value of each trial by number, and the line of the best complete one so far."""
    metric = result.spec.objective.metric
    valued = [trial for trial in result.trials if finite_value(trial) is not None]
    if not valued:
        return "No trial has reported a value."
    figure = framed(height=380, x="trial", y=words(metric))
    for state, look in LOOKS.items():
        trials = [trial for trial in valued if trial.state == state]
        if trials:
            figure.add_scatter(
                x=[trial.number for trial in trials],
                y=[finite_value(trial) for trial in trials],
                mode="markers",
                name=look.name,
                marker={"color": look.color, "symbol": look.symbol, "size": 8},
                text=[trial_text(trial, metric) for trial in trials],
                hoverinfo="text",
            )
    bests = _new_bests(result, valued)
    figure.add_scatter(
        x=[*(trial.number for trial in bests), valued[-1].number],
        y=[*(finite_value(trial) for trial in bests), finite_value(bests[-1])],
        mode="lines",
        name="best so far",
        line={"color": BLUE, "shape": "hv", "width": 2},
        hoverinfo="skip",
    )
    last = bests[-1]
    without = len(result.trials) - len(valued)
    return Picture(
        figure=figure,
        title="Optimisation history",
        caption=(
            f"Each mark is a trial at its best epoch, in the order in which trials began; the line is the "
            f"best so far. The best value, {value_text(last.value)}, came with {trial_name(last.number)}, "
            f"after {last.number} of {len(result.trials)} trials."
            + (
                f" {without} of {len(result.trials)} trials have no value and are not shown."
                if without
                else ""
            )
        ),
        table=Table(
            caption="Each new best",
            columns=("trial", "state", metric),
            rows=tuple(
                (trial_name(one.number), LOOKS[one.state].name, value_text(one.value)) for one in bests
            ),
        ),
    )


def _new_bests(result: StudyResult, valued: list[Trial]) -> list[Trial]:
    """The trials that were better than all before them, by number: of those that count as the best."""
    feasible = [trial for trial in valued if trial.is_feasible]
    counted = [trial for trial in feasible if trial.state == "complete"] or feasible or valued
    bests: list[Trial] = []
    merit = result.spec.objective.merit
    for trial in counted:
        if not bests or merit(trial.value or 0.0) > merit(bests[-1].value or 0.0):
            bests.append(trial)
    return bests
