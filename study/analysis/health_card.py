"""What one check of a study found."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "optimum_at_bound",
    "nothing_matters",
    "early_stopping_unsafe",
    "too_few_trials",
    "validation_test_gap",
    "label_noise",
]


@dataclass(frozen=True, kw_only=True)
class HealthCard:
    """The outcome of one check."""

    kind: Kind
    is_warning: bool
    """Whether something is wrong; a card that is no warning says that all is well, or that it cannot be
    told."""
    title: str
    """A few words."""
    sentence: str
    """What was found, with its numbers."""
    way_out: str | None
    """What a person can do; None where there is nothing to do."""
