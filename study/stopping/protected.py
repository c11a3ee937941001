"""The best trials of a study, which are never stopped."""

from study.stopping.trial_progress import TrialProgress


class Protected:
    """Knows the `num_protected` trials with the best values, whatever their group and epoch."""

    def __init__(self, num_protected: int) -> None:
        self._num_protected = num_protected
        self._best: dict[int, float] = {}
        """Value by trial. A trial's best value only grows, so what drops out comes back with a value of its
        own alone."""

    @property
    def trials(self) -> list[int]:
        """Trials, the best first."""
        return sorted(self._best, key=lambda trial: (-self._best[trial], trial))

    def record(self, progress: TrialProgress) -> None:
        """Takes in a trial's progress after an epoch."""
        self._best[progress.trial] = progress.best
        if len(self._best) > self._num_protected:
            del self._best[self.trials[-1]]

    def includes(self, progress: TrialProgress) -> bool:
        """Whether fewer than `num_protected` other trials are better."""
        return sum(value > progress.best for value in self._best.values()) < self._num_protected
