"""What a rule of early stopping is asked, and what it answers."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Decision = Literal["go_on", "stop", "pause"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a trial after an epoch."""

    decision: Decision
    reason: str = ""
    """Why it does not go on, for a person."""


GO_ON = Verdict("go_on")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What becomes of a population whose trials all wait at one epoch."""

    epoch: int
    kept: tuple[int, ...]
    """Trials that go on."""
    parents: Mapping[int, int]
    """Trials whose place a new one takes, the worst first; by each of them, the trial that the new one goes on from."""


class StoppingRule(Protocol):
    """Judges trials by their recorded values alone, so that one rebuilt from a record judges as one that was never interrupted.

    It must be told of every epoch that is recorded, also of a trial's last one and of those after which the trial ends for another
    reason. Not for several threads at once.
    """

    def judge(self, trial: int, epoch: int, num_epochs: int, value: float, group: str) -> Verdict:
        """Takes in the value of one epoch, and says what becomes of the trial.

        `value` is the objective at this epoch (not the best so far), `num_epochs` the trial's own length, and `group` what may be
        compared with it: trials are ranked among those of one group. An epoch that was told before changes nothing: the trial goes on
        if it has gone on before, else it is judged again.
        """
        ...

    def replay(self, trial: int, epochs: Mapping[int, float], num_epochs: int, group_at: Callable[[int], str]) -> None:
        """Takes in a recorded trial's values by epoch; `group_at` tells its group at an epoch. The order of the trials is free."""
        ...

    def next_promotion(self, paused: Collection[int], *, is_closing: bool = False) -> int | None:
        """Which of the paused trials should go on; None while none should. Asking changes nothing.

        `is_closing`: no trial runs and none will start any more. What still waits after that ends as pruned.
        """
        ...

    def next_generation(self, epoch: int, waiting: Collection[int], unfit: Mapping[int, str]) -> Generation | None:
        """What becomes of trials that wait at `epoch` for all others; None under rules without a population. Asking changes nothing.

        `unfit` are those of the same population that are worse than any, with their groups: they failed, were stopped on the way, or
        wait and miss a constraint.
        """
        ...
