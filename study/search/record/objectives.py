"""What a study is after: its objectives and its constraints, and what a trial is worth by them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.search.record.continuation import Continues
from study.search.record.trial import STOPPED, End, State, Trial
from study.study_file.constraint import Constraint
from study.study_file.objective import Objective

KILLED = "killed"
"""The note of a trial that a person ended."""
INFEASIBLE = "infeasible"
"""The constraint that a trial misses which cannot be trained at all."""
PAUSED = "paused"
"""The note of a trial that waits with a checkpoint: true at a rung, GAVE_WAY where its slot went to another
study, false once it goes on."""
GAVE_WAY = "gave way"
FACT = "fact:"
"""Starts the names of notes that are a trial's facts."""
_STATES: Mapping[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Objectives:
    """The first objective is known at every epoch; the others once a trial has an epoch, and is measured."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def written(cls, facts: Mapping[str, Sequence[str]]) -> "Objectives":
        """The objectives that `to_facts` wrote."""
        objectives = tuple(Objective(metric=name) for name in facts["objectives"])
        return cls(objectives, tuple(map(Constraint.parse, facts["constraints"])))

    def to_facts(self) -> dict[str, list[str]]:
        """Plain values for the record."""
        return {
            "objectives": [objective.metric for objective in self.objectives],
            "constraints": [str(constraint) for constraint in self.constraints],
        }

    @property
    def maximise(self) -> bool:
        """Whether more of the first objective is better."""
        return self.objectives[0].maximise

    @property
    def directions(self) -> list[StudyDirection]:
        """Of all objectives, for Optuna."""
        return [
            StudyDirection.MAXIMIZE if objective.maximise else StudyDirection.MINIMIZE
            for objective in self.objectives
        ]

    def best_epoch(self, values: Mapping[int, float]) -> int | None:
        """The first of the epochs with the best value; None where there is none."""
        merit = self.objectives[0].merit
        return max(sorted(values), key=lambda epoch: merit(values[epoch]), default=None)

    def trial(self, frozen: FrozenTrial, run_id: str | None = None, end: End | None = None) -> Trial:
        """The trial that Optuna holds as `frozen`, as if it had come to `end`; `run_id` counts where the
        trial itself knows none.
        """
        notes, values = frozen.user_attrs, frozen.intermediate_values
        epoch, state = self.best_epoch(values), end or _state(frozen)
        value = None if epoch is None else values[epoch]
        seconds = notes.get("seconds", 0.0)
        known = {
            "train_seconds": seconds,
            **notes.get("measures", {}),
            **notes.get("metrics", {}),
            self.objectives[0].metric: value,
        }
        known = {
            name: number for name, number in known.items() if number is not None and not math.isnan(number)
        }
        return Trial(
            number=frozen.number,
            state=state,
            point=notes.get("point", {}),
            origin=notes.get("origin"),
            continues=Continues.from_dict(notes["continues"]) if "continues" in notes else None,
            values=values,
            best_epoch=epoch,
            value=value,
            metrics=notes.get("metrics", {}),
            measures=notes.get("measures", {}),
            objectives={objective.metric: known.get(objective.metric) for objective in self.objectives},
            violations=self._violations(known, state),
            seconds=seconds,
            run_id=notes.get("run_id") or run_id,
            reason=notes.get("reason"),
            retries=tuple(notes.get("retries", ())),
            facts={key.removeprefix(FACT): fact for key, fact in notes.items() if key.startswith(FACT)},
            gave_way=state == "paused" and notes.get(PAUSED) == GAVE_WAY,
            started=None if frozen.datetime_start is None else frozen.datetime_start.timestamp(),
            ended=None if frozen.datetime_complete is None else frozen.datetime_complete.timestamp(),
        )

    def _violations(self, known: Mapping[str, float], state: State) -> dict[str, float]:
        """Where a trial was trained to its end or stopped, a constraint of which nothing became known counts
        as missed.
        """
        violations = {
            str(constraint): constraint.violation(known[constraint.name]) if constraint.name in known else 1.0
            for constraint in self.constraints
            if constraint.name in known or state in ("complete", *STOPPED)
        }
        return {**violations, INFEASIBLE: 1.0} if state == "infeasible" else violations


def _state(frozen: FrozenTrial) -> State:
    if frozen.user_attrs.get(PAUSED) and frozen.state == TrialState.RUNNING:
        return "paused"
    if frozen.user_attrs.get(INFEASIBLE) and frozen.state.is_finished():
        return "infeasible"
    if frozen.user_attrs.get(KILLED) and frozen.state.is_finished():
        return "killed"
    return _STATES[frozen.state]
