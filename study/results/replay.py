"""A study's recorded curves under another early-stopping rule: what it saves, and what it loses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from study.errors import SpecError
from study.home import Home
from study.results.study_result import StudyResult, find_study
from study.search.record.trial import STOPPED, Trial
from study.stopping.early_stopping import EarlyStopping, RuleName, build_rules, rules_other_than
from study.stopping.groups import group_at
from study.stopping.simulation import Curve, Ending, simulate
from study.study_file.objective import Objective
from study.study_file.study_spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class StoppedTrial:
    """A trial that the rule would have stopped, or let wait to the end."""

    trial: int
    epoch: int
    """Its last."""
    num_recorded: int
    """Epochs that it really had."""
    value: float | None
    """The objective at its best epoch up to there; None where it was no number."""
    lost: float
    """By how much its recorded value is better; at least 0."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The trial that is best by validation."""

    trial: int
    value: float
    rank: int
    """By recorded value, from 1."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A study under another rule.

    A trial that really ended early has no curve after that: its end counts as its end here, too.
    """

    study: str
    metric: str
    early_stopping: EarlyStopping
    slots: int
    """Trials that run at the same time."""
    num_trials: int
    """Those with at least one recorded epoch."""
    num_cut_short: int
    """Trials whose recorded curves end before the rule stops them."""
    epochs_recorded: int
    epochs_spent: int
    seconds_recorded: float
    """Of training and validating, all trials together."""
    seconds_spent: float
    """The same under the rule, where each epoch of a trial takes as long as its others."""
    stopped: tuple[StoppedTrial, ...]
    """By number."""
    recorded_winner: Winner | None
    winner: Winner | None

    @property
    def epochs_saved(self) -> int:
        """Of those recorded."""
        return self.epochs_recorded - self.epochs_spent

    @property
    def is_winner_lost(self) -> bool:
        """Whether another trial would have won."""
        return self.recorded_winner is not None and (
            self.winner is None or self.winner.trial != self.recorded_winner.trial
        )

    @property
    def regret(self) -> float | None:
        """By how much the recorded winner's value exceeds that of the winner under the rule."""
        if self.recorded_winner is None or self.winner is None:
            return None
        return abs(self.recorded_winner.value - self.winner.value)


def replay_named(
    home: Home,
    name: str,
    *,
    rule: str,
    first_rung: float | None = None,
    reduction: int | None = None,
    slots: int = 1,
) -> Replay:
    """The study of that name under another rule; settings that are not given are those of its study file.

    Raises UnknownStudyError or SpecError.
    """
    result = find_study(home, name)
    _check_replayable(result, rule)
    given = {"rule": rule, "first_rung": first_rung, "reduction": reduction}
    wanted = {key: value for key, value in given.items() if value is not None}
    written = result.spec.to_dict()
    early_stopping = {**written["early_stopping"], "brackets": None, **wanted}
    return replay_study(
        result, StudySpec.parse({**written, "early_stopping": early_stopping}).early_stopping, slots=slots
    )


def replay_all(home: Home, name: str, *, slots: int = 1) -> tuple[Replay, ...]:
    """The study of that name under each rule that can be replayed, with the settings of its study file.

    Raises UnknownStudyError or SpecError.
    """
    return tuple(
        replay_named(home, name, rule=rule, slots=slots) for rule in get_args(RuleName) if rule != "pbt"
    )


def _check_replayable(result: StudyResult, rule: str) -> None:
    if result.spec.early_stopping.rule == "pbt":
        raise SpecError(
            f"study {result.spec.study!r} ran under pbt, whose trials go on from others' checkpoints: a "
            "curve of it mixes "
            "several configurations, and cannot be replayed; replay a study that ran under another rule"
        )
    if rule == "pbt":
        raise SpecError(
            "pbt cannot be replayed: it trains copies of trials on with other values, of which no study has "
            "recorded a curve; "
            f"choose {rules_other_than('pbt')}"
        )


def replay_study(result: StudyResult, early_stopping: EarlyStopping, *, slots: int = 1) -> Replay:
    """The trials in the order of their numbers, `slots` at a time, under `early_stopping`."""
    objective = result.spec.objective
    curves = {
        trial.number: _curve(trial, result.spec.budget.epochs) for trial in result.trials if trial.values
    }
    endings = simulate(list(curves.values()), build_rules(early_stopping, objective.maximise), slots)
    trials = [trial for trial in result.trials if trial.number in curves]
    ranks = {trial.number: rank for rank, trial in enumerate(result.leaderboard, start=1)}
    best = result.best
    winner = _winner(trials, endings, objective)
    return Replay(
        study=result.spec.study,
        metric=objective.metric,
        early_stopping=early_stopping,
        slots=slots,
        num_trials=len(trials),
        num_cut_short=sum(
            trial.state != "complete" and endings[trial.number].decision.action == "continue"
            for trial in trials
        ),
        epochs_recorded=sum(len(trial.values) for trial in trials),
        epochs_spent=sum(_num_epochs(trial, endings) for trial in trials),
        seconds_recorded=sum(trial.seconds for trial in trials),
        seconds_spent=sum(
            _num_epochs(trial, endings) * curves[trial.number].epoch_seconds for trial in trials
        ),
        stopped=tuple(
            _stopped(trial, endings[trial.number], objective)
            for trial in trials
            if endings[trial.number].decision.action != "continue"
        ),
        recorded_winner=None
        if best is None or best.value is None
        else Winner(trial=best.number, value=best.value, rank=ranks[best.number]),
        winner=None if winner is None else Winner(trial=winner[0], value=winner[1], rank=ranks[winner[0]]),
    )


def _curve(trial: Trial, num_epochs: int) -> Curve:
    return Curve(
        trial=trial.number,
        values=trial.values,
        num_epochs=num_epochs,
        group_at=lambda epoch: group_at(trial.point, epoch, num_epochs),
        epoch_seconds=trial.seconds / len(trial.values),
    )


def _num_epochs(trial: Trial, endings: Mapping[int, Ending]) -> int:
    return sum(epoch <= endings[trial.number].epoch for epoch in trial.values)


def _stopped(trial: Trial, ending: Ending, objective: Objective) -> StoppedTrial:
    value = _best_value(trial, ending.epoch, objective)
    return StoppedTrial(
        trial=trial.number,
        epoch=ending.epoch,
        num_recorded=len(trial.values),
        value=value,
        lost=0.0 if value is None or trial.value is None else abs(trial.value - value),
        reason=ending.decision.reason,
    )


def _winner(
    trials: list[Trial], endings: Mapping[int, Ending], objective: Objective
) -> tuple[int, float] | None:
    """Number and value of the best trial under the rule, complete ones before those stopped early."""
    ranked = []
    for trial in trials:
        value = _best_value(trial, endings[trial.number].epoch, objective)
        if value is not None and trial.is_feasible and trial.state in ("complete", *STOPPED):
            is_complete = trial.state == "complete" and endings[trial.number].decision.action == "continue"
            ranked.append(((is_complete, objective.merit(value), -trial.number), trial.number, value))
    return max(ranked)[1:] if ranked else None


def _best_value(trial: Trial, up_to: int, objective: Objective) -> float | None:
    values = [value for epoch, value in trial.values.items() if epoch <= up_to and math.isfinite(value)]
    return max(values, key=objective.merit, default=None)
