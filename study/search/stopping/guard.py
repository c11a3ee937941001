"""The best trials of a study, which are never stopped."""

from study.search.stopping.standing import Standing


class Guard:
    """Knows the `num_spared` trials with the best values, whatever their group and epoch."""

    def __init__(self, num_spared: int) -> None:
        self._num_spared = num_spared
        self._best: dict[int, float] = {}
        """Value by trial. A trial's best value only grows, so what drops out comes back with a value of its own alone."""

    @property
    def spared(self) -> list[int]:
        """Trials, the best first."""
        return sorted(self._best, key=lambda trial: (-self._best[trial], trial))

    def record(self, standing: Standing) -> None:
        """Takes in how a trial stands."""
        self._best[standing.trial] = standing.best
        if len(self._best) > self._num_spared:
            del self._best[self.spared[-1]]

    def spares(self, standing: Standing) -> bool:
        """Whether fewer than `num_spared` other trials are better."""
        return sum(value > standing.best for value in self._best.values()) < self._num_spared
