"""An amount that is not known exactly, and durations as a person says them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Range:
    """What is expected of an amount, and between what it lies in most cases."""

    low: float
    expected: float
    high: float

    @classmethod
    def exactly(cls, amount: float) -> "Range":
        """One that is known."""
        return cls(low=amount, expected=amount, high=amount)

    def __add__(self, other: "Range") -> "Range":
        return Range(
            low=self.low + other.low, expected=self.expected + other.expected, high=self.high + other.high
        )

    def __mul__(self, factor: float) -> "Range":
        return Range(low=self.low * factor, expected=self.expected * factor, high=self.high * factor)

    def widened(self, share: float) -> "Range":
        """With its ends further out by that share of them."""
        return Range(low=self.low * (1 - share), expected=self.expected, high=self.high * (1 + share))

    def at_most(self, limit: float) -> "Range":
        """No part of it above `limit`."""
        return Range(low=min(self.low, limit), expected=min(self.expected, limit), high=min(self.high, limit))


def duration_text(seconds: float) -> str:
    """A duration as a person says it: `1.3 s`, `50 s`, `35 min`, `2 h 10 min`, `3 days 4 h`."""
    if seconds < 100:
        return f"{_to_step(seconds, 5)} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, minutes = divmod(_to_step(minutes, 5 if minutes < 600 else 30), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def range_text(amount: Range) -> str:
    """Its ends, as durations: `1 h 30 min to 3 h`."""
    low, high = duration_text(amount.low), duration_text(amount.high)
    if low == high:
        return low
    unit = low.rpartition(" ")[2]
    if low.count(" ") == high.count(" ") == 1 and high.endswith(unit):
        low = low.removesuffix(f" {unit}")
    return f"{low} to {high}"


def rounded(number: float) -> str:
    """A number of which two digits are known: `310`, `1,200`."""
    if number < 100:
        return f"{round(number)}"
    step = 10 ** (len(str(round(number))) - 2)
    return f"{_to_step(number, step):,}"


def _to_step(number: float, step: int) -> int:
    return step * round(number / step)
