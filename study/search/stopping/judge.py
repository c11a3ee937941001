"""The rule of a study: its criteria together, each trial's standing, values that are no numbers, and the best that are spared."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from study.search.stopping.criterion import Criterion
from study.search.stopping.guard import Guard
from study.search.stopping.rule import GO_ON, Generation, Verdict
from study.search.stopping.standing import Standing


class Judge:
    """A StoppingRule of any number of criteria: a trial goes on if none of them objects.

    A value that is no finite number ends a trial at once. A trial that is among the best of the study is not stopped, though it may
    have to wait.
    """

    def __init__(self, criteria: Sequence[Criterion], guard: Guard, *, maximise: bool) -> None:
        self._criteria = tuple(criteria)
        self._guard = guard
        self._sign = 1.0 if maximise else -1.0
        self._standings: dict[int, Standing] = {}

    def judge(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> Verdict:
        """See StoppingRule."""
        if not math.isfinite(value):
            return Verdict("stop", f"its objective was {value} at epoch {epoch}")
        self._take(trial, epoch, num_epochs, value, group)
        standing = self._standings[trial]
        if epoch < standing.epoch or epoch >= num_epochs:
            return GO_ON
        for criterion in self._criteria:
            verdict = criterion.verdict(standing)
            if verdict.decision == "pause" or (verdict.decision == "stop" and not self._guard.spares(standing)):
                return verdict
        return GO_ON

    def replay(self, trial: int, epochs: Mapping[int, float], num_epochs: int, group_at: Callable[[int], str]) -> None:
        """See StoppingRule."""
        for epoch in sorted(epochs):
            if math.isfinite(epochs[epoch]):
                self._take(trial, epoch, num_epochs, epochs[epoch], group_at(epoch))

    def next_promotion(self, paused: Collection[int], *, is_closing: bool = False) -> int | None:
        """See StoppingRule. At the end those among the best of the study go on, too."""
        for criterion in self._criteria:
            promoted = criterion.next_promotion(paused, is_closing=is_closing)
            if promoted is not None:
                return promoted
        return next((trial for trial in self._guard.spared if trial in paused), None) if is_closing else None

    def next_generation(self, epoch: int, waiting: Collection[int], unfit: Mapping[int, str]) -> Generation | None:
        """See StoppingRule."""
        found = (criterion.next_generation(epoch, waiting, unfit, self._guard.spares) for criterion in self._criteria)
        return next((generation for generation in found if generation is not None), None)

    def _take(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> None:
        before = self._standings.get(trial)
        if before is not None and epoch <= before.epoch:
            return
        value *= self._sign
        standing = Standing.first(trial, num_epochs, epoch, value, group) if before is None else before.after(epoch, value, group)
        self._standings[trial] = standing
        self._guard.record(standing)
        for criterion in self._criteria:
            criterion.record(standing)
