"""The level of the promotion test, spent over all comparisons on the same test images.

Each comparison of a challenger that is no better finds a gain by luck with the probability of its level. With
5 % each, twenty of them crown a false champion in 28 to 45 % of cases. So all comparisons together have the
level, 1 - `confidence`, and each has a share of it: alpha spending, by the online fallback procedure (Tian &
Ramdas 2021, Statistical Methods in Medical Research 30, 976). Its bound is a sum of levels, so it holds under
any dependence, which all tests on the same images have. It takes the hypotheses as given. After a promotion
they are other ones, as the champion was chosen by these images; such a champion looks better there than it
is, and is the harder to beat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DECAY = 1.6
"""The k-th comparison has a share in proportion to k^-1.6: slow enough that late ones are not hopeless. With
a smaller power the first comparisons would have less, and the fiftieth hardly more.
"""
NO_EVIDENCE = 0.5
"""A confidence at which any gain is enough, so that nothing is spent."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison that the log of decisions tells of."""

    champion: int
    challenger: int
    is_by_evidence: bool
    """Whether the challenger was promoted because of it: neither refused nor forced."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a comparison may spend."""

    number: int
    """Of the comparison, among the different ones on the same test images, from 1."""
    share: float
    """Of the level of all of them, above 0, at most 1."""

    def needed_confidence(self, confidence: float) -> float:
        """The confidence that this comparison needs, so that all together have `confidence`."""
        return confidence if confidence == NO_EVIDENCE else 1 - (1 - confidence) * self.share


def allowance(earlier: Sequence[Compared], champion: int, challenger: int) -> Allowance:
    """What the comparison of a challenger with a champion may spend after `earlier` ones on the same images,
    the first of them first.

    The shares of those that find no gain sum to 1 at most. A promotion by evidence passes its share on to the
    next comparison, as only a false one uses it up. A pair that was compared before keeps the allowance that
    it had, as its outcome is the same again.
    """
    passed_on, number = 0.0, 0
    for number, one in enumerate(different(earlier), start=1):
        share = _share(number) + passed_on
        if (one.champion, one.challenger) == (champion, challenger):
            return Allowance(number=number, share=share)
        passed_on = share if one.is_by_evidence else 0.0
    return Allowance(number=number + 1, share=_share(number + 1) + passed_on)


def different(earlier: Sequence[Compared]) -> tuple[Compared, ...]:
    """Of comparisons of the same pair the first, in order."""
    first: dict[tuple[int, int], Compared] = {}
    for one in earlier:
        first.setdefault((one.champion, one.challenger), one)
    return tuple(first.values())


def shown_confidence(confidence: float, *, beside: float | None = None) -> str:
    """A confidence in per cent, with as many digits as tell it from 100 and from another one `beside` it."""
    if confidence >= 1:
        return "100"
    digits = next(
        (
            digits
            for digits in range(1, 12)
            if float(_percent(confidence, digits)) < 100
            and (beside in (None, confidence) or _percent(confidence, digits) != _percent(beside, digits))
        ),
        12,
    )
    return _percent(confidence, digits).removesuffix(".0")


def _percent(confidence: float, digits: int) -> str:
    return f"{100 * confidence:.{digits}f}"


def _share(number: int) -> float:
    from scipy.special import zeta

    return float(number**-DECAY / zeta(DECAY))
