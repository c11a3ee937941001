"""Asynchronous successive halving that stops trials (arXiv 1810.05934)."""

from study.search.stopping.criterion import Criterion
from study.search.stopping.rule import GO_ON, Verdict
from study.search.stopping.rungs import Rungs, rung_shares
from study.search.stopping.standing import Standing


class Asha(Criterion):
    """At each rung a trial goes on if it is among the best 1/reduction of those that reached the rung so far.

    The first to reach a rung always goes on: there is nobody to compare it with.
    """

    def __init__(self, *, first_rung: float, reduction: int) -> None:
        self._rungs = Rungs(rung_shares(first_rung, reduction))
        self._reduction = reduction

    def record(self, standing: Standing) -> None:
        """See Criterion."""
        self._rungs.add(standing)

    def verdict(self, standing: Standing) -> Verdict:
        """See Criterion."""
        for index in self._rungs.reached(standing):
            rung = self._rungs.at(index)[standing.group]
            num_better, num = rung.num_better(standing.trial), len(rung.values)
            if num_better >= max(1, num // self._reduction):
                where = f"{self._rungs.share(index):.0%} of the schedule"
                return Verdict("stop", f"behind the others at epoch {standing.epoch}: place {num_better + 1} of {num} at {where}")
        return GO_ON
