"""Learning curves of all trials: the objective over epochs, the stopped ones faded."""

import math
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from study.names import trial_name
from study.report.figures.palette import GRAY, SERIES, SYMBOLS, faint, framed
from study.report.figures.picture import Picture, Shown, Table, value_text, words
from study.report.figures.trial_states import LOOKS
from study.results.study_result import StudyResult
from study.search.record.trial import STOPPED, Trial

NUM_NAMED = 5
MOST_TICKS = 20
MOST_POINTS = 20_000
"""Of all faded curves together; of more, epochs between are left out."""


def curves_picture(result: StudyResult) -> Shown:
    """The best trials by name, the other complete ones thin, those that were stopped faded."""
    trials = [trial for trial in result.leaderboard if trial.values]
    if not trials:
        return "No trial has reported an epoch."
    metric = result.spec.objective.metric
    figure = framed(height=420, x="epoch", y=words(metric))
    named = [trial for trial in trials if trial.state not in STOPPED][:NUM_NAMED]
    rest = [trial for trial in trials if trial not in named]
    step = max(math.ceil(sum(len(trial.values) for trial in rest) / MOST_POINTS), 1)
    for name, group, opacity, dash in (
        ("stopped early", [trial for trial in rest if trial.state in STOPPED], 0.3, "dot"),
        ("other trials", [trial for trial in rest if trial.state not in STOPPED], 0.5, "solid"),
    ):
        _add_many(figure, name, group, opacity, dash, step)
    for place, trial in enumerate(named[::-1]):
        color = SERIES[len(named) - 1 - place]
        figure.add_scatter(
            x=list(trial.values),
            y=_finite(trial.values.values()),
            mode="lines+markers" if len(trial.values) <= 40 else "lines",
            name=trial_name(trial.number),
            legendrank=900 - place,
            line={"color": color, "width": 2.2},
            marker={"symbol": SYMBOLS[len(named) - 1 - place], "size": 5},
            text=[
                f"{trial_name(trial.number)}, epoch {epoch}: {value_text(value)}"
                for epoch, value in trial.values.items()
            ],
            hoverinfo="text",
        )
    if max(trial.last_epoch for trial in trials) <= MOST_TICKS:
        figure.update_xaxes(dtick=1)
    num_stopped = sum(trial.state in STOPPED for trial in trials)
    return Picture(
        figure=figure,
        title="Learning curves",
        caption=(
            f"{words(metric).capitalize()} on the validation split after each epoch. The best "
            f"{len(named)} trials that were not stopped have their names; {num_stopped} of {len(trials)} "
            "trials were stopped early, and are faded."
        ),
        table=Table(
            caption="The best ten trials over their epochs",
            columns=("trial", "state", "epochs", "first epoch", "best", "at epoch", "last epoch"),
            rows=tuple(_row(trial) for trial in trials[:10]),
        ),
    )


def _add_many(
    figure: go.Figure, name: str, trials: Sequence[Trial], opacity: float, dash: str, step: int
) -> None:
    """Many curves as one trace: a thousand traces would take a browser minutes."""
    if not trials:
        return
    x: list[int | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for trial in trials:
        epochs = list(trial.values)
        kept = [*epochs[:-1:step], epochs[-1]]
        x += [*kept, None]
        y += [*_finite([trial.values[epoch] for epoch in kept]), None]
        texts += [*(trial_name(trial.number) for _ in kept), ""]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=name,
        line={"color": faint(GRAY, opacity), "width": 1.2, "dash": dash},
        marker={"size": 3},
        text=texts,
        hoverinfo="text+y",
    )


def _finite(values: Iterable[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _row(trial: Trial) -> tuple[str, ...]:
    epochs = sorted(trial.values)
    return (
        trial_name(trial.number),
        LOOKS[trial.state].name,
        str(len(epochs)),
        value_text(trial.values[epochs[0]]),
        value_text(trial.value),
        str(trial.best_epoch or ""),
        value_text(trial.values[epochs[-1]]),
    )
