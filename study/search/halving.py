"""Asynchronous successive halving: who goes on past a rung (arXiv 1810.05934)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Halving:
    """Rungs at growing epochs; at each, a trial goes on if it is among the best 1/reduction of those that reached it.

    A trial's value at a rung is its best one up to that epoch. The state is nothing but the recorded values: reporting a
    value twice changes nothing, and rungs rebuilt from the record are those of an uninterrupted study.
    """

    rungs: tuple[int, ...]
    """Epochs, ascending, all below a trial's last."""
    reduction: int
    maximise: bool
    values: dict[int, dict[int, float]] = field(default_factory=dict)
    """By rung and trial."""

    @classmethod
    def over(cls, *, epochs: int, first_rung: float, reduction: int, maximise: bool) -> "Halving":
        """Rungs at `first_rung` (a share of `epochs`), then each `reduction` times later."""
        rungs = []
        rung = max(1, round(first_rung * epochs))
        while rung < epochs:
            rungs.append(rung)
            rung *= reduction
        return cls(rungs=tuple(rungs), reduction=reduction, maximise=maximise)

    def goes_on(self, trial: int, epoch: int, value: float) -> bool:
        """Records a trial's best value at `epoch` and says whether the trial should go on.

        The first to reach a rung always goes on: there is nobody to compare it with.
        """
        if epoch not in self.rungs:
            return True
        at_rung = self.values.setdefault(epoch, {})
        at_rung[trial] = value
        better = sum(1 for other in at_rung.values() if (other > value if self.maximise else other < value))
        return better < max(1, len(at_rung) // self.reduction)

    def replay(self, trial: int, values: Mapping[int, float]) -> None:
        """Puts a recorded trial's values, by epoch, back onto the rungs it reached."""
        best: float | None = None
        for epoch in sorted(values):
            value = values[epoch]
            best = value if best is None else (max if self.maximise else min)(best, value)
            if epoch in self.rungs:
                self.values.setdefault(epoch, {})[trial] = best
