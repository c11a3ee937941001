"""A search over curves that are known already: which trials a rule would have stopped, and where."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from study.stopping.decision import CONTINUE, Decision
from study.stopping.rule_set import RuleSet


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What is known of one trial."""

    trial: int
    values: Mapping[int, float]
    """The objective by epoch; at least one."""
    num_epochs: int
    """The trial's own length, which the curve may not reach."""
    group_at: Callable[[int], str]
    """Group at an epoch."""
    epoch_seconds: float
    """What each epoch takes."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How far one trial came."""

    epoch: int
    """Its last."""
    decision: Decision
    """The last one: `continue` where the curve ended, `pause` where the trial stayed paused."""


def simulate(curves: Sequence[Curve], rule: RuleSet, num_slots: int) -> dict[int, Ending]:
    """How far each trial comes by the rule, where `num_slots` run at a time and start in the order of the
    curves.

    A free slot takes a trial that the rule promotes before a new one. A trial whose curve ends takes no
    epochs any more.
    """
    search = _Search(curves, rule, num_slots)
    while search.fill_slots():
        search.pass_epoch()
    return search.endings


class _Search:
    def __init__(self, curves: Sequence[Curve], rule: RuleSet, num_slots: int) -> None:
        self.endings: dict[int, Ending] = {}
        self._curves = {curve.trial: curve for curve in curves}
        self._rule = rule
        self._num_slots = num_slots
        self._unstarted = deque(curve.trial for curve in curves)
        self._paused: set[int] = set()
        self._running: list[tuple[float, int, int, int]] = []
        """A heap: when the next epoch ends, in which order that was foreseen, trial, epoch."""
        self._num_foreseen = 0
        self._now = 0.0

    def fill_slots(self) -> bool:
        """Starts what can start. False if nothing runs then."""
        while len(self._running) < self._num_slots:
            is_closing = not (self._unstarted or self._running)
            promoted = self._rule.trial_to_unpause(self._paused, is_closing=is_closing)
            if promoted is not None:
                self._paused.discard(promoted)
                self._go_on(promoted, after=self.endings[promoted].epoch)
            elif self._unstarted:
                self._go_on(self._unstarted.popleft(), after=0)
            else:
                break
        return bool(self._running)

    def pass_epoch(self) -> None:
        """Lets the epoch end that ends next."""
        self._now, _, trial, epoch = heappop(self._running)
        curve = self._curves[trial]
        decision = self._rule.on_epoch(
            trial, epoch, curve.num_epochs, curve.values[epoch], curve.group_at(epoch)
        )
        self.endings[trial] = Ending(epoch=epoch, decision=decision)
        if decision.action == "continue":
            self._go_on(trial, after=epoch)
        elif decision.action == "pause":
            self._paused.add(trial)

    def _go_on(self, trial: int, after: int) -> None:
        curve = self._curves[trial]
        following = min((epoch for epoch in curve.values if epoch > after), default=None)
        if following is None:
            self.endings[trial] = Ending(epoch=after, decision=CONTINUE)
            return
        heappush(self._running, (self._now + curve.epoch_seconds, self._num_foreseen, trial, following))
        self._num_foreseen += 1
