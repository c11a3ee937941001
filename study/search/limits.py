"""The study's limits while it runs: whether another trial may start, and why the study ends."""

import math
import time
from dataclasses import dataclass, field

from study.search.expected_gain import GainWatch
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.budget import Budget

FEWEST_FOR_BREAKER = 5
"""Ended trials from which on half of them failing ends the study."""


@dataclass
class Limits:
    """Counts a search against its budget; the clock starts when it is built."""

    budget: Budget
    maximise: bool
    gpus_per_trial: float = 0.0
    seconds_before: float = 0.0
    """Spent by earlier executions of the same study."""
    num_started: int = 0
    """Trials; one that takes another's place is none more."""
    num_epochs: int = 0
    trial_seconds: float = 0.0
    """Of training and validating, all trials together."""
    bound: float = math.inf
    """The value of the objective that nothing exceeds."""
    _watch: GainWatch = field(init=False)
    _num_ended: int = 0
    _num_failed: int = 0
    _best: float | None = None
    _num_ended_at_best: int = 0
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._watch = GainWatch(
            maximise=self.maximise, minimum_gain=self.budget.minimum_gain, bound=self.bound
        )

    @classmethod
    def of(
        cls,
        budget: Budget,
        record: StudyRecord,
        *,
        maximise: bool,
        gpus_per_trial: float,
        bound: float = math.inf,
    ) -> "Limits":
        """The limits of a study that has come as far as its record says."""
        before = record.facts.get("seconds", 0.0)
        limits = cls(budget, maximise, gpus_per_trial, seconds_before=before, bound=bound)
        trials = [trial for trial in record.trials if trial.state != "waiting"]
        limits.num_started = sum(trial.continues is None for trial in trials)
        for trial in sorted(trials, key=lambda trial: trial.ended or float("inf")):
            limits.num_epochs += len(trial.values)
            limits.trial_seconds += trial.seconds
            if trial.has_ended:
                limits.count_end(trial)
        return limits

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the search so far, earlier executions included."""
        return self.seconds_before + time.monotonic() - self._started

    def count_epoch(self, seconds: float) -> None:
        """One more epoch of any trial."""
        self.num_epochs += 1
        self.trial_seconds += seconds

    def count_end(self, trial: Trial) -> None:
        """One more trial that ended."""
        self._num_ended += 1
        self._num_failed += trial.state == "failed"
        self._watch.note(trial)
        if (
            trial.state == "complete"
            and trial.is_feasible
            and trial.value is not None
            and self._is_better(trial.value)
        ):
            self._best = trial.value
            self._num_ended_at_best = self._num_ended

    def reason_to_end(self) -> str | None:
        """Why no trial may start or go on any more; None while there is none."""
        budget = self.budget
        if budget.hours is not None and self.seconds >= budget.hours * 3600:
            return f"the study's {budget.hours:g} hours are over"
        if (
            budget.gpu_hours is not None
            and self.trial_seconds * self.gpus_per_trial >= budget.gpu_hours * 3600
        ):
            return f"the study's {budget.gpu_hours:g} GPU hours are over"
        if budget.total_epochs is not None and self.num_epochs >= budget.total_epochs:
            return f"the study's {budget.total_epochs} epochs are over"
        if (
            budget.target is not None
            and self._best is not None
            and not self._is_worse(self._best, budget.target)
        ):
            return f"the target {budget.target:g} is reached"
        if (
            budget.no_improvement is not None
            and self._num_ended - self._num_ended_at_best >= budget.no_improvement
        ):
            return f"{budget.no_improvement} trials in a row brought nothing better"
        if self._watch.over is not None:
            return (
                f"more trials are unlikely to help (expected gain {self._watch.over.per_hour:.2g} an hour, "
                f"minimum_gain {budget.minimum_gain:g})"
            )
        if self._num_ended >= FEWEST_FOR_BREAKER and 2 * self._num_failed >= self._num_ended:
            return f"{self._num_failed} of {self._num_ended} trials failed"
        return None

    @property
    def num_left(self) -> int:
        """Trials of the budget that have not started."""
        return max(self.budget.trials - self.num_started, 0)

    def allow_another(self) -> bool:
        """Whether a trial may start."""
        return self.num_left > 0 and self.reason_to_end() is None

    def _is_better(self, value: float) -> bool:
        return self._best is None or self._is_worse(self._best, value)

    def _is_worse(self, value: float, other: float) -> bool:
        return value < other if self.maximise else value > other
