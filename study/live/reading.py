"""The state of a running study, by its folder alone: any process that sees the folder can compute it."""

import math
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError, UnknownStudyError
from study.evaluation.confirmation import Confirmation
from study.home import Home
from study.live.events import Event, last_events
from study.live.paces import Paces
from study.live.remaining import Work, confirmation_seconds, search_seconds
from study.live.state import BestTrial, Limit, LiveState, RunningTrial
from study.names import trial_name
from study.results.study_result import StudyResult
from study.search.record.driver_lock import Driver, driver_of
from study.search.record.lineage import replaced
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.budget import Budget
from study.study_file.edits import extended_budget, is_stopped, read_edits
from study.study_file.study_spec import StudySpec

NUM_EVENTS = 50
NUM_POINTS = 160
"""Of the curve."""


class LiveReader:
    """Reads a study again and again; each time what is new since. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises StudyError where the folder holds no study that can be read."""
        self._folder = folder
        with _readable(folder):
            self._record = StudyRecord.open(folder)
            self._spec = StudySpec.read(folder / SPEC_FILE)
        self._confirmation: Confirmation | None = None

    @classmethod
    def of(cls, home: Home, name: str) -> "LiveReader":
        """The study of that name. Raises UnknownStudyError, StudyError."""
        folder = home.studies / name
        if not (folder / SPEC_FILE).exists():
            known = sorted(file.parent.name for file in home.studies.glob(f"*/{SPEC_FILE}"))
            raise UnknownStudyError(f"unknown study {name!r}; known: {', '.join(known) or 'none'}")
        return cls(folder)

    def read(self) -> LiveState:
        """Its state now. Raises StudyError where its files are gone, or cannot be read."""
        with _readable(self._folder):
            return self._read()

    def _read(self) -> LiveState:
        now, spec, driver = time.time(), self._spec, driver_of(self._folder)
        edits = read_edits(self._folder)
        budget, is_to_stop = extended_budget(spec.budget, edits), is_stopped(edits)
        found = StudyResult.read(self._folder) if driver is None else None
        search, facts = tuple(self._record.trials), self._record.facts
        stage = self._stage(search, budget, has_driver=driver is not None)
        seconds = _seconds_so_far(facts.get("seconds", 0.0), search, driver, now)
        gpus_per_trial = facts.get("gpus_per_trial", 0.0)
        if stage.is_confirming:
            left = confirmation_seconds(stage.work, [*search, *stage.trials])
        else:
            left = search_seconds(stage.work, budget, spec, seconds, gpus_per_trial)
        has_ended = found is not None and found.has_ended
        events = last_events(self._folder, NUM_EVENTS)
        return LiveState(
            study=spec.study,
            dataset=spec.dataset,
            user=facts.get("user", ""),
            state=_state(found) if driver is None else "stopping" if is_to_stop else driver.phase,
            does="" if driver is None else _stops(stage) if is_to_stop else _does(driver, stage, events),
            failure=None if found is None else found.failure,
            time=now,
            metric=spec.objective.metric,
            maximise=spec.objective.maximise,
            best=_best(self._record.leaderboard(), spec.fix),
            running=() if driver is None else _running(stage, now),
            counts=_counts(stage.work.trials, 0 if has_ended else stage.work.num_trials),
            num_ended=sum(trial.has_ended for trial in stage.work.trials),
            num_trials=stage.work.num_trials,
            share_done=1.0 if has_ended else stage.work.share_done,
            devices=stage.paces.devices,
            limits=() if stage.is_confirming else _limits(budget, stage.work, seconds, gpus_per_trial),
            seconds=seconds,
            seconds_left=None if driver is None or is_to_stop or driver.phase == "queued" else left,
            curve=_curve(search, spec.objective.merit),
            events=events,
        )

    def _stage(self, search: tuple[Trial, ...], budget: Budget, *, has_driver: bool) -> "_Stage":
        """The search, or the confirmation, from its beginning to its end."""
        if self._confirmation is None:
            self._confirmation = Confirmation.read(self._folder)
        confirmation = self._confirmation
        again = () if confirmation is None else confirmation.record.trials
        if confirmation is None or all(trial.has_ended for trial in again):
            paces = Paces.read(self._folder) if has_driver else Paces()
            return _Stage.of(search, budget.trials, budget.epochs, paces, trial_name, is_confirming=False)
        paces = Paces.read(confirmation.folder) if has_driver else Paces()
        wanted = len(confirmation.wanted)
        return _Stage.of(again, wanted, budget.epochs, paces, confirmation.name, is_confirming=True)


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """What runs: the search, or the further trainings that confirm the best."""

    trials: Sequence[Trial]
    work: Work
    paces: Paces
    name: Callable[[int], str]
    is_confirming: bool

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        num_trials: int,
        num_epochs: int,
        paces: Paces,
        name: Callable[[int], str],
        *,
        is_confirming: bool,
    ) -> "_Stage":
        gone = replaced(trials)
        shares = {
            trial.number: pace.share
            for trial in trials
            if (pace := paces.paces.get(trial.number)) is not None and pace.num_epochs == trial.last_epoch
        }
        work = Work([one for one in trials if one.number not in gone], num_epochs, num_trials, shares)
        return cls(trials=trials, work=work, paces=paces, name=name, is_confirming=is_confirming)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Inside, whatever a damaged or vanished file does to its reader is a StudyError."""
    try:
        yield
    except StudyError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise StudyError(f"study {folder.name!r} in {folder} cannot be read ({reason})") from error


def _seconds_so_far(noted: float, trials: Sequence[Trial], driver: Driver | None, now: float) -> float:
    """Wall-clock seconds of the search: the driver notes them whenever a trial ends."""
    if driver is None:
        return noted
    last = max((trial.ended for trial in trials if trial.ended is not None), default=0.0)
    return noted + max(now - max(last, driver.since), 0.0)


def _state(found: StudyResult | None) -> str:
    assert found is not None, "nobody drives it, so it was read"
    return found.state


def _does(driver: Driver, stage: _Stage, events: Sequence[Event]) -> str:
    if driver.phase == "queued":
        return "waiting for a slot"
    if not stage.trials:
        return "starting"
    if all(trial.has_ended for trial in stage.trials) and events and events[-1].kind == "said":
        return events[-1].text
    return "confirming the best" if stage.is_confirming else "searching"


def _stops(stage: _Stage) -> str:
    num = sum(trial.state == "running" for trial in stage.trials)
    if not num:
        return "stopping"
    if num == 1:
        return "stopping once its running trial has ended its epoch"
    return f"stopping once its {num} running trials have ended their epochs"


def _running(stage: _Stage, now: float) -> tuple[RunningTrial, ...]:
    return tuple(_running_trial(trial, stage, now) for trial in stage.trials if trial.state == "running")


def _running_trial(trial: Trial, stage: _Stage, now: float) -> RunningTrial:
    pace, num_epochs = stage.paces.paces.get(trial.number), stage.work.epochs
    left = None
    if pace is not None and pace.epoch_seconds is not None:
        since = max(now - stage.paces.times.get(trial.number, now), 0.0)
        left = max((num_epochs - pace.num_epochs - pace.share) * pace.epoch_seconds - since, 0.0)
    return RunningTrial(
        name=stage.name(trial.number),
        epoch=trial.last_epoch,
        num_epochs=num_epochs,
        share=stage.work.shares.get(trial.number, 0.0),
        value=_finite(trial.value),
        images_per_second=None if pace is None else pace.images_per_second,
        seconds_left=left,
        device=None if pace is None else pace.device,
    )


def _best(leaderboard: Sequence[Trial], fixed: Container[str]) -> BestTrial | None:
    for trial in leaderboard:
        if trial.state in ("failed", "infeasible") or not trial.is_feasible:
            continue
        if trial.value is None or trial.best_epoch is None or not math.isfinite(trial.value):
            continue
        return BestTrial(
            name=trial_name(trial.number),
            state=trial.state,
            value=trial.value,
            epoch=trial.best_epoch,
            point={name: value for name, value in trial.point.items() if name not in fixed},
        )
    return None


def _counts(trials: Sequence[Trial], num_trials: int) -> Mapping[str, int]:
    counts = Counter[str](trial.state for trial in trials if trial.state != "waiting")
    to_come = num_trials - sum(counts.values())
    return {**counts, **({"to come": to_come} if to_come > 0 else {})}


def _limits(budget: Budget, work: Work, seconds: float, gpus_per_trial: float) -> tuple[Limit, ...]:
    found = []
    if budget.hours is not None:
        found.append(Limit(what="hours", spent=seconds / 3600, most=budget.hours))
    if budget.gpu_hours is not None:
        spent = work.trial_seconds * gpus_per_trial / 3600
        found.append(Limit(what="GPU hours", spent=spent, most=budget.gpu_hours))
    if budget.total_epochs is not None:
        found.append(Limit(what="epochs", spent=work.num_epochs, most=budget.total_epochs))
    return tuple(found)


def _curve(trials: Sequence[Trial], merit: Callable[[float], float]) -> tuple[float, ...]:
    values = [
        trial.value
        for trial in sorted(trials, key=lambda trial: trial.ended or math.inf)
        if trial.value is not None
        and math.isfinite(trial.value)
        and trial.is_feasible
        and trial.state not in ("failed", "waiting")
    ]
    best: list[float] = []
    for value in values:
        best.append(value if not best else max(best[-1], value, key=merit))
    if len(best) <= NUM_POINTS:
        return tuple(best)
    step = (len(best) - 1) / (NUM_POINTS - 1)
    return tuple(best[round(index * step)] for index in range(NUM_POINTS))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
