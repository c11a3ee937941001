"""What another trial of a search is expected to gain, by the trials that have ended.

Of m draws and one more, each is the best with the same chance, so that the next one is with 1 / (m + 1),
whatever the distribution (Glick 1978, American Mathematical Monthly 85, 2). Where the draws get better, as a
sampler learns, more than one of them was the best of all before it, and so will be more of the next ones. By
how much a new best one leads is taken from the distances between the best: in a tail that falls off
exponentially, the k-th best leads the next by s / k on average (Renyi 1953, Acta Mathematica Hungarica 4,
191), so that k times the distance tells s. `tests/study/search/test_expected_gain.py` has the figures: the
estimate is rather too high, most so for scores that end at a bound, and a search rather too long.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from study.search.record.trial import Trial

FEWEST = 10
"""Trials that the sampler drew and that have ended; fewer tell nothing of the next one."""
FEWEST_IN_TAIL = 3
"""Distances between the best of the recent trials from which the lead is estimated; more where those are 0,
as of metrics over few images."""
IN_A_ROW = 3
"""Trials that must end one after another with an expected gain below the minimum: one estimate may be low by
chance."""


@dataclass(frozen=True, kw_only=True)
class ExpectedGain:
    """Of the next trial over the best one."""

    gain: float
    """Of the objective, at least 0: the mean over what the next trial may bring, most often nothing."""
    hours: float
    """Of training and validating that a trial takes, above 0."""

    @property
    def per_hour(self) -> float:
        """The gain for each hour of training and validating."""
        return self.gain / self.hours


@dataclass(frozen=True, kw_only=True)
class _Draw:
    """A trial that the sampler drew, and that has ended."""

    merit: float
    """-inf where it has no result that counts."""
    seconds: float
    is_new_best: bool


@dataclass(kw_only=True)
class GainWatch:
    """Follows the trials of a search as they end, and says when more of them are unlikely to help.

    It goes by the trials and their order alone, so that a search that was cut off comes to the same.
    """

    maximise: bool
    minimum_gain: float | None = None
    """Per hour; None where nothing ends a search."""
    bound: float = math.inf
    """The value of the objective that nothing exceeds."""
    over: ExpectedGain | None = None
    """The expected gain at which the search was over, for good; None before that."""
    _drawn: list[_Draw] = field(default_factory=list)
    _best: float = -math.inf
    _num_low: int = 0

    def note_all(self, trials: Iterable[Trial]) -> "GainWatch":
        """Follows those that have ended, in the order in which they did."""
        for trial in sorted(trials, key=lambda trial: trial.ended or math.inf):
            if trial.has_ended:
                self.note(trial)
        return self

    def note(self, trial: Trial) -> None:
        """One more trial that ended."""
        has_result = trial.value is not None and trial.is_feasible and trial.state != "failed"
        merit = self._merit(trial.value) if has_result and trial.value is not None else -math.inf
        is_new_best, self._best = merit > self._best, max(self._best, merit)
        if trial.origin is not None or trial.continues is not None or trial.state == "killed":
            return
        self._drawn.append(_Draw(merit=merit, seconds=trial.seconds, is_new_best=is_new_best))
        if self.minimum_gain is None or self.over is not None or (latest := self.latest) is None:
            return
        self._num_low = self._num_low + 1 if latest.per_hour < self.minimum_gain else 0
        if self._num_low >= IN_A_ROW:
            self.over = latest

    @property
    def latest(self) -> ExpectedGain | None:
        """By all that have ended; None where it cannot be told yet."""
        return _expected_gain(self._drawn, self._best, abs(self._merit(self.bound) - self._best))

    def _merit(self, value: float) -> float:
        return value if self.maximise else -value


def _expected_gain(drawn: Sequence[_Draw], best: float, room: float) -> ExpectedGain | None:
    """By the recent half of the draws, as a sampler learns. Those without a result are draws, too.

    A best trial that was not among them is the harder to exceed the further it leads, as in an exponential
    tail. `room` is what is left to the bound of the objective.
    """
    if len(drawn) < FEWEST:
        return None
    recent = drawn[-max(FEWEST, math.ceil(len(drawn) / 2)) :]
    ranked = sorted((one.merit for one in recent if one.merit > -math.inf), reverse=True)
    hours = sum(one.seconds for one in recent) / len(recent) / 3600
    if len(ranked) <= FEWEST_IN_TAIL or not hours > 0:
        return None
    lead = _lead(ranked)
    if not lead > 0:
        return ExpectedGain(gain=0.0, hours=hours)
    num_new_best = max(sum(one.is_new_best for one in recent), 1)
    chance = num_new_best / (len(recent) + 1) * math.exp(-(best - ranked[0]) / lead)
    return ExpectedGain(gain=chance * lead * -math.expm1(-room / lead), hours=hours)


def _lead(ranked: Sequence[float]) -> float:
    """By how much a new best one leads: the mean of k times the distance of the k-th best to the next. It is
    the mean distance of the best ones to the one after them.
    """
    for num in range(FEWEST_IN_TAIL, len(ranked)):
        if (lead := sum(ranked[:num]) / num - ranked[num]) > 0:
            return lead
    return 0.0
