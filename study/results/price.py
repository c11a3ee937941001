"""What an hour of the machines costs, as the environment says."""

import math
import os
import re
from dataclasses import dataclass

from study.errors import SpecError
from trainables.printable import quoted

COST_VARIABLE = "STUDY_HOURLY_COST"
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([^\d\s.,;]{0,8})\s*")


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of all machines that a study uses, together."""

    an_hour: float
    currency: str
    """Empty where none was said."""

    @classmethod
    def of_environment(cls) -> "Price | None":
        """None where it says nothing. Raises SpecError where it says no price."""
        written = os.environ.get(COST_VARIABLE)
        if not written:
            return None
        found = _FORM.fullmatch(written)
        if found is None or not math.isfinite(float(found[1])):
            raise SpecError(
                f"{COST_VARIABLE} must be a number with or without a currency, such as 2.50 EUR, got "
                f"{quoted(written)}"
            )
        return cls(an_hour=float(found[1]), currency=found[2])

    @property
    def rate(self) -> str:
        """Such as `2.50 EUR an hour`."""
        return f"{self.text(3600)} an hour"

    def text(self, seconds: float) -> str:
        """What so many seconds cost: `6.90 EUR`."""
        return f"{self.number(seconds)} {self.currency}".strip()

    def number(self, seconds: float) -> str:
        """The same without the currency."""
        return f"{self.an_hour * seconds / 3600:,.2f}"
