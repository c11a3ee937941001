"""Hyperband: brackets of successive halving that start stopping at different times (arXiv 1603.06560,
asynchronous as in 1810.05934).
"""

from study.stopping.asha import Asha
from study.stopping.decision import Decision
from study.stopping.rule import Rule
from study.stopping.rungs import rung_shares
from study.stopping.trial_progress import TrialProgress


class Hyperband(Rule):
    """Trials of one bracket compete among themselves.

    The first bracket has all rungs, each later one has its first one less.

    With one bracket more than there are rungs, the last stops nobody.
    """

    def __init__(self, *, first_rung: float, reduction: int, brackets: int) -> None:
        self._brackets = [
            Asha(first_rung=first_rung * reduction**number, reduction=reduction) for number in range(brackets)
        ]
        self._turns = turns(bracket_sizes(brackets, reduction))

    def bracket(self, trial: int) -> int:
        """The bracket of a trial, by its number alone."""
        return self._turns[trial % len(self._turns)]

    def record(self, progress: TrialProgress) -> None:
        """See Rule."""
        self._brackets[self.bracket(progress.trial)].record(progress)

    def decide(self, progress: TrialProgress) -> Decision:
        """See Rule."""
        return self._brackets[self.bracket(progress.trial)].decide(progress)


def most_brackets(first_rung: float, reduction: int) -> int:
    """One for each rung, and one without."""
    return len(rung_shares(first_rung, reduction)) + 1


def bracket_sizes(brackets: int, reduction: int) -> list[int]:
    """Trials of each bracket in one round: as Hyperband has them, so that all brackets spend about the same
    epochs.
    """
    return [-(-brackets * reduction**late // (late + 1)) for late in reversed(range(brackets))]


def turns(sizes: list[int]) -> list[int]:
    """Brackets in the order in which trials enter them: at any time each has had its share of the trials, to
    within one.
    """
    ahead = [0.0] * len(sizes)
    order = []
    for _ in range(sum(sizes)):
        ahead = [credit + size for credit, size in zip(ahead, sizes, strict=True)]
        bracket = max(range(len(sizes)), key=ahead.__getitem__)
        ahead[bracket] -= sum(sizes)
        order.append(bracket)
    return order
