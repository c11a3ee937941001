"""The study's own state: every trial's configuration, epochs and end, in a storage that survives any death of
the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from optuna.trial import TrialState, create_trial

from search_spaces.dimensions import Value
from search_spaces.space import Point, SearchSpace
from study.search.record.continuation import Continues
from study.search.record.imputation import imputed
from study.search.record.objectives import FACT, GAVE_WAY, INFEASIBLE, KILLED, PAUSED, Objectives
from study.search.record.storage import Storage, create_storage, open_storage
from study.search.record.trial import STOPPED, End, EpochReport, Trial
from study.search.record.trial_cache import TrialCache
from study.search.sampling.samplers import History, suggest_point, translate
from study.search.sampling.suggesting import draw, held, is_exhausted
from study.study_file.constraint import Constraint
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler

_ENDS: Mapping[End, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "killed": TrialState.PRUNED,
    # Pruned, with a constraint missed: Optuna's samplers rank it behind all that can be trained, and no value
    # is invented.
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_PREFIX = "sampler:"
"""Starts the names of facts that are the sampler's."""


class StudyRecord:
    """One study's record. One process writes it, the study's driver; others may read it at any time."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        facts = self.facts
        self._objectives = Objectives.written(facts)
        self._sampler = Sampler.model_validate(facts["sampler"])
        self._trials = TrialCache(storage, self._objectives)
        self._trials.note_runs(
            {int(number): run_id for number, run_id in facts.get("late_run_ids", {}).items()}
        )
        self._is_exhausted: tuple[Any, bool] = (None, False)

    @classmethod
    def create(
        cls,
        folder: Path,
        name: str,
        *,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        sampler: Sampler | None = None,
        storage_url: str | None = None,
    ) -> "StudyRecord":
        """A new record in `folder`, or in a database.

        Raises StudyError if that does not answer or has a study of the name.
        """
        wanted = Objectives(tuple(objectives), tuple(constraints))
        storage = create_storage(folder, name, storage_url, wanted.directions)
        for key, value in {**wanted.to_facts(), "sampler": (sampler or Sampler()).model_dump()}.items():
            storage.set_study_user_attr(storage.study_id, key, value)
        return cls(storage)

    @classmethod
    def open(cls, folder: Path, storage_url: str | None = None) -> "StudyRecord":
        """The record in `folder`, or in the database that it names.

        Raises FileNotFoundError where there is none, StudyError.
        """
        return cls(open_storage(folder, storage_url))

    @property
    def facts(self) -> dict[str, Any]:
        """What was noted of the study as a whole."""
        return dict(self._storage.get_study_user_attrs(self._storage.study_id))

    def note(self, **facts: Any) -> None:
        """Notes JSON values of the study as a whole."""
        for name, value in facts.items():
            self._storage.set_study_user_attr(self._storage.study_id, name, value)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number."""
        return tuple(self._trials)

    def trial(self, number: int) -> Trial:
        """One trial."""
        return self._trials.trial(number)

    def enqueue(self, space: SearchSpace, point: Point, origin: str, **facts: Any) -> None:
        """Puts a point in front of the sampler's, also one that was tried; dimensions that the space lacks
        there ride along.

        `facts` are JSON values that are noted with it, in the same moment.
        """
        self._put(space, point, TrialState.WAITING, {"origin": origin, **_facts(facts)})

    def add_continuing(self, space: SearchSpace, point: Point, continues: Continues) -> int:
        """Starts a trial that goes on from another one's checkpoint, and gives its number."""
        return self._put(
            space,
            point,
            TrialState.RUNNING,
            {"origin": f"continues {continues}", "continues": asdict(continues)},
        )

    def ask(
        self, space: SearchSpace, seed: int, pins: Mapping[str, Value] | None = None
    ) -> tuple[int, Point] | None:
        """Starts the next trial: its number and its point. None where every configuration was tried.

        A point that waits comes first. A drawn one follows from the seed, the trial's number and the history
        alone, was not tried before, and has the values of `pins` in those of their dimensions that can have
        them.
        """
        number = self._trials.waiting()
        if number is not None:
            return number, self._start(number, space, seed)
        drawn = draw(
            held(space, pins or {}), self._sampler, seed, len(self._trials), self._trials.tried, self._history
        )
        if drawn is None:
            return None
        self._note_of_sampler(drawn.study_notes)
        return self._add(
            space, drawn.point, TrialState.RUNNING, {"point": drawn.point}, drawn.trial_notes
        ), drawn.point

    def is_exhausted(self, space: SearchSpace, pins: Mapping[str, Value] | None = None) -> bool:
        """Whether `ask` has nothing to give: no point waits, and all that the sampler can draw was tried."""
        if self._trials.waiting() is not None:
            return False
        key = (len(self._trials), id(space), tuple((pins or {}).items()))
        if self._is_exhausted[0] != key:
            self._is_exhausted = (
                key,
                is_exhausted(held(space, pins or {}), self._sampler, self._trials.tried),
            )
        return self._is_exhausted[1]

    def report(self, number: int, report: EpochReport) -> None:
        """Records one epoch; an epoch that was recorded before (a trial that started over) is recorded
        once.
        """
        frozen = self._trials.frozen(number)
        if report.epoch in frozen.intermediate_values:
            return
        self._storage.set_trial_intermediate_value(self._trials.id_of(number), report.epoch, report.value)
        notes: dict[str, Any] = {"seconds": frozen.user_attrs.get("seconds", 0.0) + report.seconds}
        if (
            self._objectives.best_epoch({**frozen.intermediate_values, report.epoch: report.value})
            == report.epoch
        ):
            notes["metrics"] = dict(report.metrics)
        if report.run_id and "run_id" not in frozen.user_attrs:
            notes["run_id"] = report.run_id
        self._note(number, notes)

    def note_measures(self, number: int, measures: Mapping[str, float]) -> None:
        """Notes what was measured of a trial that goes on, by the names of `study.study_file.measures`."""
        self._note(number, {"measures": {**self._trials.trial(number).measures, **measures}})

    def note_trial(self, number: int, **facts: Any) -> None:
        """Notes JSON values of a trial that goes on."""
        self._note(number, _facts(facts))

    def note_retry(self, number: int, reason: str) -> int:
        """Notes that a trial begins again, and says how often it did, this time included."""
        retries = [*self._trials.trial(number).retries, reason]
        self._note(number, {"retries": retries})
        return len(retries)

    def note_runs(self, run_ids: Mapping[int, str]) -> None:
        """Notes MLflow runs of trials that ended before they knew them: what has ended cannot be written to
        any more.
        """
        self._trials.note_runs(dict(run_ids))
        self.note(late_run_ids={str(number): run_id for number, run_id in self._trials.run_ids.items()})

    def pause(self, number: int, *, gives_way: bool = False) -> None:
        """Lets a trial wait where it is; it has not ended. `gives_way` says that its slot went to others."""
        self._note(number, {PAUSED: GAVE_WAY if gives_way else True})

    def unpause(self, number: int) -> None:
        """Lets a trial that waits go on."""
        self._note(number, {PAUSED: False})

    def finish(self, number: int, state: End, reason: str | None = None) -> None:
        """Ends a trial.

        A complete trial is worth its best epoch; one that lacks the value of an objective is failed instead.
        """
        trial, trial_id = self._trials.trial(number), self._trials.id_of(number)
        if trial.has_ended:
            return
        missing = [name for name, value in trial.objectives.items() if value is None]
        if state == "complete" and missing:
            state, reason = "failed", f"it ended without {', '.join(missing)}, which the study optimises"
        self._note(
            number,
            {
                **({"reason": reason} if reason else {}),
                **({INFEASIBLE: True} if state == "infeasible" else {}),
                **({KILLED: True} if state == "killed" else {}),
            },
        )
        if state != "failed":
            # Only Optuna knows under which names its samplers look for these.
            violations = self._objectives.trial(self._trials.frozen(number), end=state).violations
            for key, value in create_trial(
                state=TrialState.PRUNED, constraints=dict(violations)
            ).system_attrs.items():
                self._storage.set_trial_system_attr(trial_id, key, value)
        self._storage.set_trial_state_values(
            trial_id, _ENDS[state], list(trial.objectives.values()) if state == "complete" else None
        )
        self._trials.changed(number)

    def best(self) -> Trial | None:
        """The complete trial with the best value, or (where none is complete) the best of those stopped
        early.

        One that misses a constraint, or cannot be trained, is never the best.
        """
        pruned = None
        for trial in self._trials.ranked():
            if trial.is_feasible and trial.state == "complete":
                return trial
            if trial.is_feasible and trial.state in STOPPED and pruned is None:
                pruned = trial
        return pruned

    def leaderboard(self) -> tuple[Trial, ...]:
        """Trials that reported a value, the best first; those that miss a constraint last, equal ones in the
        order of their numbers.
        """
        return tuple(self._trials.ranked())

    def _start(self, number: int, space: SearchSpace, seed: int) -> Point:
        """Starts a trial that waits. A sampler that counts generations counts it, too."""
        trial_id = self._trials.id_of(number)
        if self._sampler.abilities.counts_generations:
            beside = suggest_point(space, self._sampler.rule, seed, replace(self._history(), number=number))
            self._note_of_sampler(beside.study_notes)
            for key, value in beside.trial_notes.items():
                self._storage.set_trial_system_attr(trial_id, key, value)
        self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        self._trials.changed(number)
        return dict(self._trials.trial(number).point)

    def _history(self) -> History:
        past, abilities = self._trials.past(), self._sampler.abilities
        if abilities.ranks_pruned and len(self._objectives.objectives) == 1:
            seen = [frozen for _, frozen in past]
        else:
            seen = imputed(past, self._objectives, takes_constraints=abilities.takes_constraints)
        notes = {
            key.removeprefix(_PREFIX): value for key, value in self.facts.items() if key.startswith(_PREFIX)
        }
        return History(past=seen, directions=self._objectives.directions, study_notes=notes, number=len(past))

    def _note_of_sampler(self, notes: Mapping[str, Any]) -> None:
        known = self.facts
        self.note(
            **{f"{_PREFIX}{key}": value for key, value in notes.items() if f"{_PREFIX}{key}" not in known}
        )

    def _put(self, space: SearchSpace, point: Point, state: TrialState, notes: Mapping[str, Any]) -> int:
        inside = space.build_point(lambda dimension: point[dimension.name])
        return self._add(space, inside, state, {**notes, "point": inside | point})

    def _add(
        self,
        space: SearchSpace,
        point: Point,
        state: TrialState,
        notes: Mapping[str, Any],
        of_sampler: Mapping[str, Any] | None = None,
    ) -> int:
        params, distributions = translate(space, point)
        trial = create_trial(
            state=state,
            params=params,
            distributions=distributions,
            user_attrs=dict(notes),
            system_attrs=dict(of_sampler or {}),
        )
        return self._trials.added(self._storage.create_new_trial(self._storage.study_id, trial))

    def _note(self, number: int, notes: Mapping[str, Any]) -> None:
        for key, value in notes.items():
            self._storage.set_trial_user_attr(self._trials.id_of(number), key, value)
        self._trials.changed(number)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{FACT}{name}": value for name, value in facts.items()}
