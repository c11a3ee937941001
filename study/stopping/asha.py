"""Asynchronous successive halving that stops trials (arXiv 1810.05934)."""

from study.stopping.decision import CONTINUE, Decision
from study.stopping.rule import Rule
from study.stopping.rungs import Rungs, rung_shares
from study.stopping.trial_progress import TrialProgress


class Asha(Rule):
    """At each rung a trial goes on if it is among the best 1/reduction of those that reached the rung so far.

    The first to reach a rung always goes on: there is nobody to compare it with.
    """

    def __init__(self, *, first_rung: float, reduction: int) -> None:
        self._rungs = Rungs(rung_shares(first_rung, reduction))
        self._reduction = reduction

    def record(self, progress: TrialProgress) -> None:
        """See Rule."""
        self._rungs.add(progress)

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        for index in self._rungs.reached(progress):
            rung = self._rungs.at(index)[progress.group]
            num_better, num = rung.num_better(progress.trial), len(rung.values)
            if num_better >= max(1, num // self._reduction):
                where = f"{self._rungs.share(index):.0%} of the schedule"
                return Decision(
                    "stop",
                    f"behind the others at epoch {progress.epoch}: place {num_better + 1} of {num} at "
                    f"{where}",
                )
        return CONTINUE
