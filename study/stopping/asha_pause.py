"""Asynchronous successive halving that pauses trials and promotes the best (arXiv 1810.05934, algorithm
2).
"""

from collections.abc import Collection
from heapq import heappop, heappush

from study.stopping.decision import CONTINUE, Decision
from study.stopping.rule import Rule
from study.stopping.rungs import Rung, Rungs, rung_shares
from study.stopping.trial_progress import TrialProgress


class AshaPause(Rule):
    """Every trial waits at each of its rungs; it goes on once it is among the best 1/reduction of those that
    reached the rung.

    A trial that is not paused any more was promoted; nothing else is remembered of it.
    """

    def __init__(self, *, first_rung: float, reduction: int) -> None:
        self._rungs = Rungs(rung_shares(first_rung, reduction))
        self._reduction = reduction
        self._latest: dict[int, int] = {}
        """Index of the highest rung that each trial has reached."""
        self._waiting: dict[tuple[int, str], list[tuple[float, int]]] = {}
        """Heaps of trials that may wait at a rung, as in `Rung.ranked`; a trial that waits there no longer
        leaves when it comes up."""

    def record(self, progress: TrialProgress) -> None:
        """See Rule."""
        reached = self._rungs.add(progress)
        if reached:
            self._latest[progress.trial] = reached[-1]
            self._put(progress)

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        reached = self._rungs.reached(progress)
        if not reached:
            return CONTINUE
        self._put(progress)  # one that started over may have left the heap
        return Decision(
            "pause", f"waits at {self._rungs.share(reached[-1]):.0%} of its schedule, epoch {progress.epoch}"
        )

    def trial_to_unpause(self, paused: Collection[int], *, is_closing: bool) -> int | None:
        """The best that waits at the highest rung where one may go on; of several groups, the trial that
        began first.

        At the end the best of each rung goes on though fewer than `reduction` came, as in halving with a
        fixed number of trials.
        """
        for index in reversed(range(len(self._rungs))):
            rungs = self._rungs.at(index).items()
            found = [self._promotable(index, group, rung, paused, int(is_closing)) for group, rung in rungs]
            if promotable := [trial for trial in found if trial is not None]:
                return min(promotable)
        return None

    def _promotable(
        self, index: int, group: str, rung: Rung, paused: Collection[int], fewest: int
    ) -> int | None:
        waiting = self._waiting.get(
            (index, group), []
        )  # none where all who came have a higher rung at the same epoch
        while waiting and (waiting[0][1] not in paused or self._latest[waiting[0][1]] != index):
            heappop(waiting)
        if waiting and rung.place(waiting[0][1]) < max(fewest, len(rung.values) // self._reduction):
            return waiting[0][1]
        return None

    def _put(self, progress: TrialProgress) -> None:
        heappush(
            self._waiting.setdefault((self._latest[progress.trial], progress.group), []),
            (-progress.best, progress.trial),
        )
