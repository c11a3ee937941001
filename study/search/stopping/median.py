"""The median rule of Google Vizier (doi 10.1145/3097983.3098043, section 3.2.2)."""

from array import array
from bisect import bisect_left, insort

from study.search.stopping.criterion import Criterion
from study.search.stopping.rule import GO_ON, Verdict
from study.search.stopping.standing import Standing

STEPS = 100
"""Parts of a schedule: trials of different lengths meet at whole percents of their own, rounded up to whole epochs."""


class Median(Criterion):
    """Stops a trial whose best value is below the median of the others' running averages up to the same share of the schedule."""

    def __init__(self, *, grace: float, min_trials: int) -> None:
        self._grace = grace
        self._min_trials = min_trials
        self._means: dict[tuple[int, str], array[float]] = {}
        """Running averages, ascending, by step and group."""

    def record(self, standing: Standing) -> None:
        """See Criterion."""
        if standing.epoch < standing.num_epochs:
            for step in _steps(standing):
                insort(self._means.setdefault((step, standing.group), array("d")), standing.mean)

    def verdict(self, standing: Standing) -> Verdict:
        """See Criterion."""
        steps = _steps(standing)
        if not steps or standing.epoch < self._grace * standing.num_epochs:
            return GO_ON
        means = self._means[steps[-1], standing.group]
        if len(means) <= self._min_trials:
            return GO_ON
        if standing.best >= _median_without(means, standing.mean):
            return GO_ON
        return Verdict("stop", f"below the median of {len(means) - 1} others at epoch {standing.epoch}")


def _steps(standing: Standing) -> range:
    """Steps of the schedule that end within this epoch; none in some epochs of a trial that is longer than all steps."""
    return range(STEPS * (standing.epoch - 1) // standing.num_epochs + 1, STEPS * standing.epoch // standing.num_epochs + 1)


def _median_without(ascending: "array[float]", left_out: float) -> float:
    """Median of all values but one that is equal to `left_out`."""
    hole, num = bisect_left(ascending, left_out), len(ascending) - 1

    def value(index: int) -> float:
        return ascending[index + (index >= hole)]

    return (value((num - 1) // 2) + value(num // 2)) / 2
