"""The study's own state: every trial's configuration, epochs and end, in a journal file that survives any death of the process."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import Point, SearchSpace
from study.search.sampling import sample, sampler_params, tpe

JOURNAL_FILE = "search.journal"

State = Literal["waiting", "running", "complete", "pruned", "failed"]
_STATES: Mapping[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is known of one trial."""

    number: int
    state: State
    point: Point
    origin: str | None
    """The named recipe or point of the study file that it starts from; None where the sampler drew it."""
    values: Mapping[int, float]
    """The objective by epoch."""
    best_epoch: int | None
    value: float | None
    """The objective at its best epoch."""
    metrics: Mapping[str, float]
    """All validation metrics at the best epoch."""
    seconds: float
    """Spent training and validating."""
    run_id: str | None
    """Its MLflow run."""
    reason: str | None
    """Why it failed or was stopped."""
    ended: float | None
    """When it ended, in seconds since 1970."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("complete", "pruned", "failed")


@dataclass(frozen=True, kw_only=True)
class Report:
    """One epoch of a trial, as its process tells it."""

    epoch: int
    value: float
    metrics: Mapping[str, float]
    seconds: float
    """Of this epoch."""
    run_id: str | None


class StudyRecord:
    """One study's record. One process writes it, the study's driver; others may read it at any time."""

    def __init__(self, storage: JournalStorage) -> None:
        (found,) = storage.get_all_studies()
        self._storage = storage
        self._study_id = found._study_id
        self._study = optuna.load_study(storage=storage, study_name=found.study_name)
        self._late_run_ids = {int(number): run_id for number, run_id in self.facts.get("late_run_ids", {}).items()}
        self._maximise = self._study.direction == optuna.study.StudyDirection.MAXIMIZE

    @classmethod
    def create(cls, folder: Path, name: str, *, maximise: bool) -> "StudyRecord":
        """A new record in `folder`."""
        storage = _storage(folder)
        optuna.create_study(storage=storage, study_name=name, direction="maximize" if maximise else "minimize")
        return cls(storage)

    @classmethod
    def open(cls, folder: Path) -> "StudyRecord":
        """The record in `folder`. Raises FileNotFoundError where there is none."""
        if not (folder / JOURNAL_FILE).exists():
            raise FileNotFoundError(folder / JOURNAL_FILE)
        return cls(_storage(folder))

    @property
    def facts(self) -> dict[str, Any]:
        """What was noted of the study as a whole."""
        return dict(self._study.user_attrs)

    def note(self, **facts: Any) -> None:
        """Notes JSON values of the study as a whole."""
        for name, value in facts.items():
            self._study.set_user_attr(name, value)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, by number."""
        return tuple(self._trial(frozen) for frozen in self._study.get_trials(deepcopy=False))

    def trial(self, number: int) -> Trial:
        """One trial."""
        return self._trial(self._frozen(number))

    def enqueue(self, space: SearchSpace, point: Point, origin: str) -> None:
        """Puts a point in front of the sampler's; dimensions that the space lacks there ride along."""
        inside = space.build_point(lambda dimension: point[dimension.name])
        beside = {name: value for name, value in point.items() if name not in inside}
        self._study.enqueue_trial(sampler_params(space, inside), user_attrs={"origin": origin, "beside": beside})

    def ask(self, space: SearchSpace, seed: int) -> tuple[int, Point]:
        """Starts the next trial: its number and its point, drawn from the seed and the history alone."""
        self._study.sampler = tpe(seed, len(self._study.get_trials(deepcopy=False)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self._study.ask()
            point = sample(space, trial) | trial.user_attrs.get("beside", {})
        trial.set_user_attr("point", point)
        return trial.number, point

    def report(self, number: int, report: Report) -> None:
        """Records one epoch; an epoch that was recorded before (a trial that started over) is recorded once."""
        frozen = self._frozen(number)
        if report.epoch in frozen.intermediate_values:
            return
        trial_id = self._trial_id(number)
        self._storage.set_trial_intermediate_value(trial_id, report.epoch, report.value)
        values = {**frozen.intermediate_values, report.epoch: report.value}
        notes: dict[str, Any] = {"seconds": frozen.user_attrs.get("seconds", 0.0) + report.seconds}
        if self._best_epoch(values) == report.epoch:
            notes["metrics"] = dict(report.metrics)
        if report.run_id and "run_id" not in frozen.user_attrs:
            notes["run_id"] = report.run_id
        for key, value in notes.items():
            self._storage.set_trial_user_attr(trial_id, key, value)

    def note_runs(self, run_ids: Mapping[int, str]) -> None:
        """Notes MLflow runs of trials that ended before they knew them: what has ended cannot be written to any more."""
        self._late_run_ids |= run_ids
        self.note(late_run_ids={str(number): run_id for number, run_id in self._late_run_ids.items()})

    def finish(self, number: int, state: Literal["complete", "pruned", "failed"], reason: str | None = None) -> None:
        """Ends a trial. A complete trial's value is that of its best epoch."""
        frozen = self._frozen(number)
        if frozen.state.is_finished():
            return
        if reason:
            self._storage.set_trial_user_attr(self._trial_id(number), "reason", reason)
        if state == "complete":
            self._study.tell(number, self._best(frozen.intermediate_values))
        else:
            self._study.tell(number, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def best(self) -> Trial | None:
        """The complete trial with the best value, or (where none is complete) the best of those stopped early."""
        ranked = self.leaderboard()
        complete = [trial for trial in ranked if trial.state == "complete"]
        return next(iter(complete or [trial for trial in ranked if trial.state == "pruned"]), None)

    def leaderboard(self) -> tuple[Trial, ...]:
        """Trials that reported a value, the best first; equal values in the order of their numbers."""
        valued = [trial for trial in self.trials if trial.value is not None]
        return tuple(sorted(valued, key=lambda trial: (-1 if self._maximise else 1) * (trial.value or 0.0)))

    def best_value(self, number: int, up_to: int) -> float:
        """A trial's best value among its epochs up to `up_to`, of which at least one must be recorded."""
        return self._best({epoch: value for epoch, value in self._frozen(number).intermediate_values.items() if epoch <= up_to})

    def _trial(self, frozen: FrozenTrial) -> Trial:
        notes, values = frozen.user_attrs, dict(frozen.intermediate_values)
        return Trial(
            number=frozen.number,
            state=_STATES[frozen.state],
            point=notes.get("point", {}),
            origin=notes.get("origin"),
            values=values,
            best_epoch=self._best_epoch(values) if values else None,
            value=self._best(values) if values else None,
            metrics=notes.get("metrics", {}),
            seconds=notes.get("seconds", 0.0),
            run_id=notes.get("run_id") or self._late_run_ids.get(frozen.number),
            reason=notes.get("reason"),
            ended=None if frozen.datetime_complete is None else frozen.datetime_complete.timestamp(),
        )

    def _frozen(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _best(self, values: Mapping[int, float]) -> float:
        return (max if self._maximise else min)(values.values())

    def _best_epoch(self, values: Mapping[int, float]) -> int:
        return min(epoch for epoch, value in values.items() if value == self._best(values))


def _storage(folder: Path) -> JournalStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL_FILE)))
