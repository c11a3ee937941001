"""A trial that has stopped getting better."""

from study.stopping.decision import CONTINUE, Decision
from study.stopping.rule import Rule
from study.stopping.trial_progress import TrialProgress


class Plateau(Rule):
    """Stops a trial after `num_epochs` epochs without a better value; the count begins anew where the trial
    begins to train more layers.
    """

    def __init__(self, num_epochs: int) -> None:
        self._num_epochs = num_epochs

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        if progress.epoch - progress.improved_at < self._num_epochs:
            return CONTINUE
        return Decision(
            "stop", f"no better value in the {self._num_epochs} epochs up to epoch {progress.epoch}"
        )
