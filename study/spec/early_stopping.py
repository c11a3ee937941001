"""Which trials are stopped before their last epoch."""

from typing import Literal

from pydantic import Field

from study.spec.written import Written


class EarlyStopping(Written):
    """Asynchronous successive halving (arXiv 1810.05934): at each rung only the best share of trials goes on."""

    rule: Literal["asha", "none"] = "asha"
    first_rung: float = Field(0.2, gt=0, lt=1)
    """Where the first rung lies, as a share of a trial's epochs."""
    reduction: int = Field(3, ge=2, le=16)
    """One trial in this many goes on; rungs grow by this factor."""
