"""The median rule of Google Vizier (doi 10.1145/3097983.3098043, section 3.2.2)."""

from array import array
from bisect import bisect_left, insort

from study.stopping.decision import CONTINUE, Decision
from study.stopping.rule import Rule
from study.stopping.trial_progress import TrialProgress

STEPS = 100
"""Parts of a schedule: trials of different lengths meet at whole percents of their own, rounded up to whole
epochs."""


class Median(Rule):
    """Stops a trial whose best value is below the median of the others' running averages up to the same share
    of the schedule.
    """

    def __init__(self, *, grace: float, min_trials: int) -> None:
        self._grace = grace
        self._min_trials = min_trials
        self._means: dict[tuple[int, str], array[float]] = {}
        """Running averages, ascending, by step and group."""

    def record(self, progress: TrialProgress) -> None:
        """See Rule."""
        if progress.epoch < progress.num_epochs:
            for step in _steps(progress):
                insort(self._means.setdefault((step, progress.group), array("d")), progress.mean)

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        steps = _steps(progress)
        if not steps or progress.epoch < self._grace * progress.num_epochs:
            return CONTINUE
        means = self._means[steps[-1], progress.group]
        if len(means) <= self._min_trials:
            return CONTINUE
        if progress.best >= _median_without(means, progress.mean):
            return CONTINUE
        return Decision("stop", f"below the median of {len(means) - 1} others at epoch {progress.epoch}")


def _steps(progress: TrialProgress) -> range:
    """Steps of the schedule that end within this epoch; none in some epochs of a trial that is longer than
    all steps.
    """
    return range(
        STEPS * (progress.epoch - 1) // progress.num_epochs + 1,
        STEPS * progress.epoch // progress.num_epochs + 1,
    )


def _median_without(ascending: "array[float]", left_out: float) -> float:
    """Median of all values but one that is equal to `left_out`."""
    hole, num = bisect_left(ascending, left_out), len(ascending) - 1

    def value(index: int) -> float:
        return ascending[index + (index >= hole)]

    return (value((num - 1) // 2) + value(num // 2)) / 2
