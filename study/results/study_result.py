"""The result of a study, for a program, a notebook or the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from study.connections.mlflow_account import AS_TOLD
from study.disk_space import bytes_in
from study.errors import StudyError, UnknownStudyError
from study.evaluation.confirmation import Confirmation
from study.evaluation.final_result import RESULT_FILE, FinalResult
from study.home import Home
from study.results.cost import Cost
from study.results.more_trials import expected_gain
from study.results.pictures import Pictures
from study.results.reproduction import REPRODUCTION_FILE, Reproduction
from study.search.record.driver_lock import Driver, driver_of
from study.search.record.lineage import lineage_rows, replaced
from study.search.record.pareto import pareto_front
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.edits import (
    extended_budget,
    freed_weights,
    is_archived,
    is_stopped,
    last_priority,
    read_edits,
)
from study.study_file.study_spec import StudySpec
from study.study_file.tags import has_tags

State = Literal["queued", "starting", "running", "stopping", "interrupted", "stopped", "finished", "failed"]

_OF_MANY = ("point", "metrics", "measures", "objectives", "lineage")


@dataclass(frozen=True, kw_only=True)
class StudyResult(Pictures):
    """A study, running or ended."""

    spec: StudySpec
    folder: Path
    trials: tuple[Trial, ...]
    """By number."""
    leaderboard: tuple[Trial, ...]
    """Those that reported a value, the best first."""
    best: Trial | None
    """The best by the first objective on validation, complete trials first; it keeps all constraints."""
    pareto: tuple[Trial, ...]
    """The Pareto front: with several objectives, the complete trials that no other dominates."""
    confirmation: Mapping[str, Trial]
    """Further trainings of the best configurations, by name; empty where none began."""
    final: FinalResult | None
    """Test result and registered version; None until the study has ended."""
    reproduction: Reproduction | None
    """The result of a study that reproduces a recipe."""
    run_id: str | None
    """Its MLflow run."""
    seconds: float
    """Wall-clock time of the search."""
    cost: Cost
    driver: Driver | None
    """The process that drives it; None where nobody does."""
    user: str
    """Who began it."""
    user_source: str
    """Who says so: `verified by MLflow`, or `as told`."""
    priority: int
    failure: str | None
    """Why its last driver ended with an error that is the study's own."""
    is_end_told: bool
    """Whether MLflow was told of its end, or of the end before it was extended."""
    is_extended: bool
    """Whether an edit extended it after its end, or after that of its search."""

    @classmethod
    def read(cls, folder: Path) -> "StudyResult":
        """The study in `folder`, running or ended."""
        record = StudyRecord.open(folder)
        facts, raised = record.facts, last_priority(read_edits(folder))
        spec, trials = StudySpec.read(folder / SPEC_FILE), record.trials
        return cls(
            spec=spec,
            folder=folder,
            trials=trials,
            leaderboard=record.leaderboard(),
            best=record.best(),
            pareto=pareto_front(trials, spec.objectives) if len(spec.objectives) > 1 else (),
            confirmation=_trainings(folder),
            final=FinalResult.read(folder),
            reproduction=Reproduction.read(folder),
            run_id=facts.get("run_id"),
            seconds=facts.get("seconds", 0.0),
            cost=Cost.of(record, spec.budget.epochs, folder),
            driver=driver_of(folder),
            user=facts.get("user", ""),
            user_source=facts.get("user_source", AS_TOLD),
            priority=facts.get("priority", 0) if raised is None else raised.priority,
            failure=facts.get("failure"),
            is_end_told="num_edits_at_end" in facts,
            is_extended=_is_extended(facts, folder),
        )

    @property
    def state(self) -> State:
        """What a person can rely on: `queued`, `starting`, `running` and `stopping` (somebody asked for it)
        have a driver that is alive.

        Of those without one, `interrupted`, `stopped` (somebody asked for it) and `failed` go on with `study
        resume`.
        """
        is_to_stop = is_stopped(read_edits(self.folder))
        if self.driver is not None:
            return "stopping" if is_to_stop else self.driver.phase
        if self.has_ended:
            return "finished"
        if is_to_stop:
            return "stopped"
        return "interrupted" if self.failure is None else "failed"

    @property
    def is_archived(self) -> bool:
        """Whether `study list` leaves it out."""
        return is_archived(read_edits(self.folder))

    @property
    def disk_bytes(self) -> int:
        """What its folder takes of the disk; MLflow's files are not in it."""
        return bytes_in(self.folder)

    def check_goes_on(self) -> None:
        """Raises StudyError where it is archived, or was and lacks what going on needs."""
        name, edits = self.spec.study, read_edits(self.folder)
        if is_archived(edits):
            raise StudyError(f"study {name!r} is archived; bring it back first: study archive {name} --undo")
        if freed_weights(edits):
            raise StudyError(
                f"study {name!r} cannot go on: its weights were freed by study archive or study gc; a new "
                f"study can begin with its best: start_from: [{{best: 3, of: {self.spec.dataset}}}]"
            )

    @property
    def progress(self) -> str:
        """How many of the budget's trials have ended, or of the trainings that confirm the best."""
        if self.confirmation and self.final is None:
            ended = sum(training.has_ended for training in self.confirmation.values())
            return f"{ended} of {len(self.confirmation)} trainings that confirm the best ended"
        num_trials = extended_budget(self.spec.budget, read_edits(self.folder)).trials
        gone = replaced(self.trials)
        return (
            f"{sum(trial.has_ended and trial.number not in gone for trial in self.trials)} of {num_trials} "
            "trials ended"
        )

    @property
    def has_ended(self) -> bool:
        """Whether it has its test result, and no edit extended it since."""
        return (self.final is not None or self.reproduction is not None) and not self.is_extended

    @property
    def is_cut_off_at_end(self) -> bool:
        """Whether it has its result, and MLflow was not told, as where its driver died between the two."""
        return self.has_ended and not self.is_end_told

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "study": self.spec.study,
            "dataset": self.spec.dataset,
            "about": self.spec.about,
            "tags": dict(self.spec.tags),
            "state": self.state,
            "progress": self.progress,
            "user": self.user,
            "user_source": self.user_source,
            "priority": self.priority,
            "archived": self.is_archived,
            "disk_bytes": self.disk_bytes,
            "driver": None if self.driver is None else asdict(self.driver),
            "failure": self.failure,
            "objective": self.spec.objective.metric,
            "folds": self.spec.num_folds,
            "objectives": [objective.metric for objective in self.spec.objectives],
            "constraints": list(map(str, self.spec.constraints)),
            "seconds": self.seconds,
            "cost": self.cost.sums,
            "expected_gain": self._expected_gain(),
            "run_id": self.run_id,
            "best": None if self.best is None else self.best.number,
            "pareto": [trial.number for trial in self.pareto],
            "final": None if self.final is None else asdict(self.final),
            "confirmation": [_training_row(name, training) for name, training in self.confirmation.items()],
            "reproduction": None if self.reproduction is None else asdict(self.reproduction),
            "leaderboard": [trial_row(trial) for trial in self.leaderboard],
            "failed": [
                {"trial": trial.number, "reason": trial.reason}
                for trial in self.trials
                if trial.state == "failed"
            ],
            "infeasible": [
                {"trial": trial.number, "reason": trial.reason}
                for trial in self.trials
                if trial.state == "infeasible"
            ],
        }

    def _expected_gain(self) -> dict[str, float | bool] | None:
        """Of the next trial; None where that cannot be told."""
        found = expected_gain(self.spec, self.trials)
        if found is None:
            return None
        expected, is_over = found
        return {"gain": expected.gain, "per_hour": expected.per_hour, "is_over": is_over}

    def to_frame(self) -> Any:
        """The leaderboard as a pandas DataFrame, one column for each dimension."""
        import pandas as pd

        rows = [trial_row(trial) for trial in self.leaderboard]
        return pd.DataFrame(
            [
                {
                    **{key: value for key, value in row.items() if key not in _OF_MANY},
                    **row["metrics"],
                    **row["measures"],
                    **row["point"],
                }
                for row in rows
            ]
        )


def _is_extended(facts: Mapping[str, Any], folder: Path) -> bool:
    """Whether an edit that came after the study's end gives it more to spend."""
    num_at_end = facts.get("num_edits_at_end")
    if num_at_end is None and not any((folder / name).exists() for name in (RESULT_FILE, REPRODUCTION_FILE)):
        return False
    # A driver that died between writing the result and noting the edits took these ones.
    num_taken = facts.get("num_edits_taken", 0) if num_at_end is None else num_at_end
    return any(edit.kind == "extend" for edit in read_edits(folder)[num_taken:])


def trial_row(trial: Trial) -> dict[str, Any]:
    """One line of a leaderboard, as plain values."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": trial.value,
        "best_epoch": trial.best_epoch,
        "epochs": len(trial.values),
        "seconds": round(trial.seconds, 2),
        "origin": trial.origin,
        "continues": None if trial.continues is None else trial.continues.trial,
        "reason": trial.reason,
        "run_id": trial.run_id,
        "feasible": trial.is_feasible,
        "objectives": dict(trial.objectives),
        "metrics": dict(trial.metrics),
        "measures": dict(trial.measures),
        "point": dict(trial.point),
        "lineage": [] if trial.continues is None else lineage_rows(trial),
    }


def _trainings(folder: Path) -> dict[str, Trial]:
    confirmation = Confirmation.read(folder)
    return (
        {}
        if confirmation is None
        else {confirmation.name(trial.number): trial for trial in confirmation.record.trials}
    )


def _training_row(name: str, training: Trial) -> dict[str, Any]:
    """A further training, as plain values; its configuration is its trial's."""
    row = trial_row(training)
    return {
        "training": name,
        **{
            key: row[key]
            for key in ("state", "value", "best_epoch", "epochs", "seconds", "reason", "run_id", "metrics")
        },
    }


@dataclass(frozen=True, kw_only=True)
class UnreadableStudy:
    """A study whose files cannot be read."""

    study: str
    folder: Path
    reason: str

    def __str__(self) -> str:
        return f"study {self.study!r} in {self.folder} cannot be read ({self.reason})"


def list_studies(home: Home) -> tuple[StudyResult | UnreadableStudy, ...]:
    """All studies of a home, by name; those that cannot be read hide none of the others."""
    return tuple(_read_or_reason(name, home.studies / name) for name in _known(home))


def driven_studies(home: Home, user: str) -> tuple[StudyResult, ...]:
    """A person's studies that run or wait for slots, without those that were asked to stop."""
    return tuple(
        study
        for study in list_studies(home)
        if isinstance(study, StudyResult)
        and study.user == user
        and study.driver is not None
        and not is_stopped(read_edits(study.folder))
    )


def with_tags(
    studies: Sequence[StudyResult | UnreadableStudy], wanted: Mapping[str, str]
) -> tuple[StudyResult | UnreadableStudy, ...]:
    """Those that have all the wanted tags; of one that cannot be read nobody knows, so it stays only where
    none is wanted.
    """
    return tuple(
        study
        for study in studies
        if not wanted or (isinstance(study, StudyResult) and has_tags(study.spec.tags, wanted))
    )


def not_archived(
    studies: Sequence[StudyResult | UnreadableStudy],
) -> tuple[StudyResult | UnreadableStudy, ...]:
    """Those that nobody archived."""
    return tuple(study for study in studies if isinstance(study, UnreadableStudy) or not study.is_archived)


def find_study(home: Home, name: str) -> StudyResult:
    """The study of that name. Raises UnknownStudyError, StudyError where it cannot be read."""
    known = _known(home)
    if name not in known:
        raise UnknownStudyError(f"unknown study {name!r}; known: {', '.join(known) or 'none'}")
    found = _read_or_reason(name, home.studies / name)
    if isinstance(found, UnreadableStudy):
        raise StudyError(f"{found}; no other study is affected; what can be done: study doctor {name}")
    return found


def find_studies(home: Home, names: Sequence[str]) -> tuple[StudyResult, ...]:
    """The studies of these names. Raises UnknownStudyError with all that are unknown, StudyError where one
    cannot be read.
    """
    known = _known(home)
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if len(unknown) > 1:
        raise UnknownStudyError(
            f"unknown studies {', '.join(map(repr, unknown))}; known: {', '.join(known) or 'none'}"
        )
    return tuple(find_study(home, name) for name in [*unknown, *names])


def _known(home: Home) -> list[str]:
    return sorted(file.parent.name for file in home.studies.glob(f"*/{SPEC_FILE}"))


def _read_or_reason(name: str, folder: Path) -> StudyResult | UnreadableStudy:
    try:
        return StudyResult.read(folder)
    except Exception as error:  # noqa: BLE001  whatever a damaged file does to its reader
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        return UnreadableStudy(study=name, folder=folder, reason=reason)
