"""All rules of a study together: each trial's progress, values that are no numbers, and the best trials,
which are protected.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from study.stopping.decision import CONTINUE, Decision, Generation
from study.stopping.protected import Protected
from study.stopping.rule import Rule
from study.stopping.trial_progress import TrialProgress


class RuleSet:
    """Decides by recorded values alone, so that one rebuilt from a record decides as one that was never
    interrupted.

    A trial continues if no rule objects. A value that is no finite number stops a trial. A trial among the
    best of the study is not stopped, though it may be paused. Every recorded epoch must be passed in, also a
    trial's last one and those after which the trial ends for another reason. Not for several threads at the
    same time.
    """

    def __init__(self, rules: Sequence[Rule], protected: Protected, *, maximise: bool) -> None:
        self._rules = tuple(rules)
        self._protected = protected
        self._sign = 1.0 if maximise else -1.0
        self._progress: dict[int, TrialProgress] = {}

    def on_epoch(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> Decision:
        """Takes in the value of one epoch, and says what becomes of the trial.

        `value` is the objective at this epoch (not the best so far), `num_epochs` the trial's own length.
        Trials are ranked among those of one `group`. An epoch that was passed in before changes nothing: the
        trial continues if it has continued before, else it is decided on again.
        """
        if not math.isfinite(value):
            return Decision("stop", f"its objective was {value} at epoch {epoch}")
        self._take(trial, epoch, num_epochs, value, group)
        progress = self._progress[trial]
        if epoch < progress.epoch or epoch >= num_epochs:
            return CONTINUE
        for rule in self._rules:
            decision = rule.decide(progress)
            if decision.action == "pause" or (
                decision.action == "stop" and not self._protected.includes(progress)
            ):
                return decision
        return CONTINUE

    def replay(
        self, trial: int, epochs: Mapping[int, float], num_epochs: int, group_at: Callable[[int], str]
    ) -> None:
        """Takes in a recorded trial's values by epoch; `group_at` gives its group at an epoch.

        The order of the trials is free.
        """
        for epoch in sorted(epochs):
            if math.isfinite(epochs[epoch]):
                self._take(trial, epoch, num_epochs, epochs[epoch], group_at(epoch))

    def trial_to_unpause(self, paused: Collection[int], *, is_closing: bool = False) -> int | None:
        """Which of the paused trials continues; None while none should. Changes nothing.

        `is_closing`: no trial runs and none will start any more. Then the protected trials continue, too;
        what is still paused after that ends as pruned.
        """
        for rule in self._rules:
            trial = rule.trial_to_unpause(paused, is_closing=is_closing)
            if trial is not None:
                return trial
        return (
            next((trial for trial in self._protected.trials if trial in paused), None) if is_closing else None
        )

    def next_generation(
        self, epoch: int, waiting: Collection[int], unfit: Mapping[int, str]
    ) -> Generation | None:
        """What becomes of trials that wait at `epoch` for all others; None under rules without a population.

        Changes nothing.

        `unfit` are those of the same population that are worse than any, with their groups: they failed, were
        stopped on the way, or wait and miss a constraint.
        """
        found = (
            rule.next_generation(epoch, waiting, unfit, self._protected.includes) for rule in self._rules
        )
        return next((generation for generation in found if generation is not None), None)

    def _take(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> None:
        before = self._progress.get(trial)
        if before is not None and epoch <= before.epoch:
            return
        value *= self._sign
        progress = (
            TrialProgress.first(trial, num_epochs, epoch, value, group)
            if before is None
            else before.after(epoch, value, group)
        )
        self._progress[trial] = progress
        self._protected.record(progress)
        for rule in self._rules:
            rule.record(progress)
