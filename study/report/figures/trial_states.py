"""How trials of each state look, in every figure alike, and the words for them."""

import math
from dataclasses import dataclass

from study.names import trial_name
from study.report.figures.palette import BLUE, GRAY, GREEN, ORANGE, PURPLE, VERMILLION
from study.report.figures.picture import value_text
from study.search.record.trial import State, Trial


@dataclass(frozen=True, kw_only=True)
class Look:
    """Of the trials of one state."""

    name: str
    color: str
    symbol: str


LOOKS: dict[State, Look] = {
    "complete": Look(name="complete", color=BLUE, symbol="circle"),
    "pruned": Look(name="stopped early", color=ORANGE, symbol="circle-open"),
    "killed": Look(name="ended by a person", color=PURPLE, symbol="square-open"),
    "infeasible": Look(name="infeasible", color=GRAY, symbol="diamond-open"),
    "failed": Look(name="failed", color=VERMILLION, symbol="x"),
    "running": Look(name="running", color=GREEN, symbol="triangle-right"),
    "paused": Look(name="paused", color=GREEN, symbol="hourglass"),
    "waiting": Look(name="waiting", color=GRAY, symbol="line-ns"),
}


def finite_value(trial: Trial) -> float | None:
    """The value of a trial; None where it has none, or one that is no number."""
    return trial.value if trial.value is not None and math.isfinite(trial.value) else None


def trial_text(trial: Trial, metric: str) -> str:
    """A trial in a line, as it stands at the mouse."""
    value = finite_value(trial)
    score = "no value" if value is None else f"{metric.replace('_', ' ')} {value_text(value)}"
    epochs = f"{len(trial.values)} epoch{'' if len(trial.values) == 1 else 's'}"
    return f"{trial_name(trial.number)}: {score}, {LOOKS[trial.state].name}, {epochs}"
