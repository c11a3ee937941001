"""A trial that has stopped getting better."""

from study.search.stopping.criterion import Criterion
from study.search.stopping.rule import GO_ON, Verdict
from study.search.stopping.standing import Standing


class Plateau(Criterion):
    """Stops a trial after so many epochs without a better value; the count begins anew where the trial begins to train more layers."""

    def __init__(self, num_epochs: int) -> None:
        self._num_epochs = num_epochs

    def verdict(self, standing: Standing) -> Verdict:
        """See Criterion."""
        if standing.epoch - standing.improved_at < self._num_epochs:
            return GO_ON
        return Verdict("stop", f"no better value in the {self._num_epochs} epochs up to epoch {standing.epoch}")
