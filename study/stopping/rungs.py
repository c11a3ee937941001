"""Rungs: shares of a trial's own schedule at which trials are compared."""

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field

from study.stopping.trial_progress import TrialProgress

ROUNDING = 1e-9
"""Of an epoch: what a product of a share and a number of epochs may be off."""


def rung_shares(first: float, reduction: int) -> tuple[float, ...]:
    """Shares below 1: `first`, then each `reduction` times the one before."""
    shares = []
    while first < 1 - ROUNDING:
        shares.append(first)
        first *= reduction
    return tuple(shares)


def rung_epoch(share: float, num_epochs: int) -> int:
    """The epoch after which a trial of `num_epochs` has passed `share` of its schedule, at least 1."""
    return max(1, math.ceil(share * num_epochs - ROUNDING))


@dataclass
class Rung:
    """The trials of one group that reached one share of their schedules, ranked by their best values up to
    there.
    """

    values: dict[int, float] = field(default_factory=dict)
    ranked: list[tuple[float, int]] = field(default_factory=list)
    """Pairs of a value's negative and a trial, the best first."""

    def add(self, trial: int, value: float) -> None:
        """A trial that arrives."""
        if trial not in self.values:
            self.values[trial] = value
            insort(self.ranked, (-value, trial))

    def num_better(self, trial: int) -> int:
        """Trials with a better value."""
        return bisect_left(self.ranked, (-self.values[trial],))

    def place(self, trial: int) -> int:
        """Trials before it, where of equal ones the one with the lower number comes first."""
        return bisect_left(self.ranked, (-self.values[trial], trial))


class Rungs:
    """All rungs of a study: one for each share and group.

    A share that is rounded up to a trial's last epoch is no rung of that trial.
    """

    def __init__(self, shares: tuple[float, ...]) -> None:
        self._shares = shares
        self._rungs: list[dict[str, Rung]] = [{} for _ in shares]
        """By index of the share, then by group."""

    def __len__(self) -> int:
        return len(self._shares)

    def at(self, index: int) -> dict[str, Rung]:
        """Rungs of one share, by group."""
        return self._rungs[index]

    def share(self, index: int) -> float:
        """Where a rung lies."""
        return self._shares[index]

    def reached(self, progress: TrialProgress) -> list[int]:
        """Indices of the shares that lie at this epoch of the trial: several in a short one, mostly none."""
        if progress.epoch >= progress.num_epochs:
            return []
        return [
            index
            for index, share in enumerate(self._shares)
            if rung_epoch(share, progress.num_epochs) == progress.epoch
        ]

    def add(self, progress: TrialProgress) -> list[int]:
        """Puts a trial onto the rungs that it has reached, and returns their indices."""
        reached = self.reached(progress)
        for index in reached:
            self._rungs[index].setdefault(progress.group, Rung()).add(progress.trial, progress.best)
        return reached
