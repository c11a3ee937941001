"""How long a running study still takes: by the epochs that are left, and the speed so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.search.record.trial import Trial
from study.study_file.budget import Budget
from study.study_file.study_spec import StudySpec

SHARE_OF_EPOCHS = 0.5
"""What early stopping leaves of a trial's epochs, before the study's own trials tell it."""
NUM_TRIALS_IT_WEIGHS = 3
"""As many of the study's own trials count as much."""
FEWEST_EPOCHS = 0.5
"""Trained by all trials together: before that nobody can tell."""


@dataclass(frozen=True)
class Work:
    """What trials have trained, and what they have left."""

    trials: Sequence[Trial]
    """Without those whose place another one took."""
    epochs: int
    """Of a trial that is not stopped early."""
    num_trials: int
    """That there shall be."""
    shares: Mapping[int, float]
    """Of the epoch under way, by trial."""

    @property
    def num_epochs(self) -> int:
        """Epochs that all trials together have trained."""
        return sum(len(trial.values) for trial in self.trials)

    @property
    def trial_seconds(self) -> float:
        """What all trials together have trained and validated."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def epochs_done(self) -> float:
        """The same as `num_epochs`, with the epochs under way."""
        return self.num_epochs + sum(self.shares.values())

    @property
    def share_done(self) -> float:
        """Of all epochs; those that a trial which ended early will not need are done."""
        settled = sum(
            self.epochs
            if trial.has_ended
            else min(trial.last_epoch + self.shares.get(trial.number, 0.0), self.epochs)
            for trial in self.trials
        )
        return min(settled / (self.num_trials * self.epochs), 1.0)

    def epochs_left(self, *, stops_early: bool) -> float:
        """Epochs that will be trained: those of running trials, and of those to come."""
        share = self._share_of_epochs() if stops_early else 1.0
        left = sum(
            (self.epochs - trial.last_epoch - self.shares.get(trial.number, 0.0)) * share
            for trial in self.trials
            if trial.state in ("running", "paused")
        )
        num_begun = sum(trial.state != "waiting" for trial in self.trials)
        return left + max(self.num_trials - num_begun, 0) * share * self.epochs

    def _share_of_epochs(self) -> float:
        ended = [
            trial.last_epoch / self.epochs for trial in self.trials if trial.state in ("complete", "pruned")
        ]
        prior = SHARE_OF_EPOCHS * NUM_TRIALS_IT_WEIGHS
        return (sum(ended) + prior) / (len(ended) + NUM_TRIALS_IT_WEIGHS)


def search_seconds(
    work: Work, budget: Budget, spec: StudySpec, seconds: float, gpus_per_trial: float
) -> float | None:
    """Until the search has ended, by the first limit of its budget that it reaches, and then the
    confirmation; None while nobody can tell.

    `seconds` is the wall-clock time so far.
    """
    if work.epochs_done < FEWEST_EPOCHS or seconds <= 0:
        return None
    rate = work.epochs_done / seconds
    left = [work.epochs_left(stops_early=spec.early_stopping.rule != "none") / rate]
    if budget.total_epochs is not None:
        left.append((budget.total_epochs - work.epochs_done) / rate)
    if budget.hours is not None:
        left.append(budget.hours * 3600 - seconds)
    if budget.gpu_hours is not None and work.trial_seconds > 0 and gpus_per_trial > 0:
        spent = work.trial_seconds * gpus_per_trial
        left.append((budget.gpu_hours * 3600 - spent) * seconds / spent)
    confirming = 0.0
    if spec.confirm is not None:
        confirming = spec.confirm.top * spec.confirm.seeds * budget.epochs / rate
    return max(min(left), 0.0) + confirming


def confirmation_seconds(work: Work, trials: Sequence[Trial]) -> float | None:
    """Until the trainings of a confirmation have ended, by what an epoch takes in `trials`."""
    num_epochs = sum(len(trial.values) for trial in trials)
    if num_epochs == 0:
        return None
    each = sum(trial.seconds for trial in trials) / num_epochs
    num_at_once = max(sum(trial.state == "running" for trial in work.trials), 1)
    return work.epochs_left(stops_early=False) * each / num_at_once
