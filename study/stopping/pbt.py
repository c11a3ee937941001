"""Population-based training (arXiv 1711.09846), in step: the worst of a population go on from the checkpoints
of the best.
"""

import math
from collections.abc import Callable, Collection, Mapping
from itertools import cycle

from study.stopping.decision import CONTINUE, Decision, Generation
from study.stopping.rule import Rule
from study.stopping.rungs import ROUNDING, rung_epoch
from study.stopping.trial_progress import TrialProgress


class Pbt(Rule):
    """Every trial waits at each interval of its schedule.

    Once all have come, those in the lowest quantile give their places away.

    The paper compares a trial with the others as soon as it has come. Here all have the same epoch when they
    are compared: what becomes of them does not depend on how many run at a time, or how fast. What is
    compared is the value of that epoch, not the best so far: it belongs to the weights that would be copied.
    The best gives its checkpoint for the place of the worst, the second best for that of the second worst,
    and so on, where the paper draws lots.
    """

    def __init__(self, *, interval: float, quantile: float) -> None:
        self._interval = interval
        self._quantile = quantile
        self._progress: dict[int, TrialProgress] = {}

    def record(self, progress: TrialProgress) -> None:
        """See Rule."""
        self._progress[progress.trial] = progress

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        if progress.epoch not in interval_epochs(self._interval, progress.num_epochs):
            return CONTINUE
        return Decision("pause", f"waits for the others at epoch {progress.epoch}")

    def next_generation(
        self,
        epoch: int,
        waiting: Collection[int],
        unfit: Mapping[int, str],
        is_protected: Callable[[TrialProgress], bool],
    ) -> Generation | None:
        """See Rule.

        Heads and networks are compared among themselves; all that are unfit are replaced where a fit one is.
        """
        fit = [self._progress[trial] for trial in waiting if trial not in unfit]
        parents: dict[int, int] = {}
        for group in sorted({progress.group for progress in fit}):
            ranked = sorted(
                (one for one in fit if one.group == group), key=lambda one: (-one.value, one.trial)
            )
            lost = sorted(trial for trial, its_group in unfit.items() if its_group == group)
            num_exchanged = num_replaced(len(ranked) + len(lost), self._quantile)
            last = ranked[len(ranked) - max(num_exchanged - len(lost), 0) :]
            behind = [one.trial for one in reversed(last) if not is_protected(one)]
            best = [one.trial for one in ranked[: max(num_exchanged, 1)]]
            parents |= dict(zip([*lost, *behind], cycle(best), strict=False))
        return Generation(epoch=epoch, kept=tuple(sorted(set(waiting) - set(parents))), parents=parents)


def num_replaced(num_trials: int, quantile: float) -> int:
    """Trials of `num_trials` that lie in the quantile, rounded down."""
    return math.floor(num_trials * quantile + ROUNDING)


def interval_epochs(interval: float, num_epochs: int) -> tuple[int, ...]:
    """The epochs, each once, at which a trial of `num_epochs` has passed another `interval` of its schedule;
    its last is none.
    """
    steps = range(1, math.ceil(1 / interval - ROUNDING))
    epochs = dict.fromkeys(rung_epoch(step * interval, num_epochs) for step in steps)
    return tuple(epoch for epoch in epochs if epoch < num_epochs)
