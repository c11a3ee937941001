"""The study's limits while it runs: whether another trial may start, and whether a running one may go on."""

import time
from dataclasses import dataclass, field

from study.spec.budget import Budget


@dataclass
class Limits:
    """Counts a search against its budget; the clock starts when it is built."""

    budget: Budget
    seconds_before: float = 0.0
    """Spent by earlier executions of the same study."""
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the search so far, earlier executions included."""
        return self.seconds_before + time.monotonic() - self._started

    def is_time_up(self) -> bool:
        """Whether the hours of the budget are over."""
        return self.budget.hours is not None and self.seconds >= self.budget.hours * 3600

    def allow_another(self, num_trials: int) -> bool:
        """Whether a trial may start after `num_trials` have."""
        return num_trials < self.budget.trials and not self.is_time_up()
