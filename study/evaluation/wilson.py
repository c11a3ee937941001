"""The interval of a share."""

from study.evaluation.test_result import Interval

CONFIDENCE = 0.95


def share_interval(part: int, whole: int) -> Interval:
    """The share `part / whole`, `whole` above 0, with its 95 % score interval (Wilson 1927)."""
    from scipy.stats import binomtest

    ends = binomtest(part, whole).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(value=part / whole, low=float(ends.low), high=float(ends.high))
