"""One rule of early stopping: a ground on which trials are stopped or paused."""

from collections.abc import Callable, Collection, Mapping

from study.stopping.decision import CONTINUE, Decision, Generation
from study.stopping.trial_progress import TrialProgress


class Rule:
    """Remembers how far each trial has come, and decides by that alone.

    Each epoch is recorded once, before it is decided on.
    """

    def record(self, progress: TrialProgress) -> None:
        """Takes in a trial's progress after an epoch."""

    def decide(self, progress: TrialProgress) -> Decision:
        """What becomes of a trial with this progress. Changes nothing that a later decision depends on."""
        return CONTINUE

    def trial_to_unpause(self, paused: Collection[int], *, is_closing: bool) -> int | None:
        """Which of the paused trials continues; None while none should."""
        return None

    def next_generation(
        self,
        epoch: int,
        waiting: Collection[int],
        unfit: Mapping[int, str],
        is_protected: Callable[[TrialProgress], bool],
    ) -> Generation | None:
        """See RuleSet; a trial that `is_protected` keeps its place."""
        return None
